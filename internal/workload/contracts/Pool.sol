// SPDX-License-Identifier: LGPL-3.0-or-later
pragma solidity 0.8.28;

interface IToken {
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// A constant-product pool of two tokens with a fee of 0.3 %.
contract Pool {
    IToken public token0; // slot 0
    IToken public token1; // slot 1
    uint128 public reserve0; // slot 2, low half
    uint128 public reserve1; // slot 2, high half

    event Swap(address indexed trader, bool zeroForOne, uint256 amountIn, uint256 amountOut);
    event Sync(uint128 reserve0, uint128 reserve1);

    function swap(bool zeroForOne, uint256 amountIn, uint256 minOut) external returns (uint256 amountOut) {
        (uint256 r0, uint256 r1) = (reserve0, reserve1);
        (uint256 rIn, uint256 rOut) = zeroForOne ? (r0, r1) : (r1, r0);
        uint256 paid = amountIn * 997;
        amountOut = (paid * rOut) / (rIn * 1000 + paid);
        require(amountOut > 0 && amountOut >= minOut, "too little out");
        (rIn, rOut) = (rIn + amountIn, rOut - amountOut);
        (r0, r1) = zeroForOne ? (rIn, rOut) : (rOut, rIn);
        require(r0 <= type(uint128).max && r1 <= type(uint128).max, "reserve overflow");
        (reserve0, reserve1) = (uint128(r0), uint128(r1));

        (IToken tIn, IToken tOut) = zeroForOne ? (token0, token1) : (token1, token0);
        tIn.transferFrom(msg.sender, address(this), amountIn);
        tOut.transfer(msg.sender, amountOut);
        emit Sync(uint128(r0), uint128(r1));
        emit Swap(msg.sender, zeroForOne, amountIn, amountOut);
    }
}
