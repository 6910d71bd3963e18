package bench

// BlockRow is the result of one block of a real chain.
type BlockRow struct {
	Chain   uint64 `json:"chain"`
	Number  uint64 `json:"number"`
	Txs     int    `json:"txs"`
	GasUsed uint64 `json:"gas_used"`
}
