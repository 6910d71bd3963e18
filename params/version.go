package params

// Version is this project's version. The binary reports it beside op-geth's.
const Version = "0.1.0"
