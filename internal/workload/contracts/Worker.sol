// SPDX-License-Identifier: LGPL-3.0-or-later
pragma solidity 0.8.28;

/// Does work of a chosen kind and size, each caller in slots of its own.
contract Worker {
    mapping(address => uint256) public results; // slot 0
    mapping(address => mapping(uint256 => uint256)) public cells; // slot 1

    event Done(address indexed caller, uint256 result);

    /// Hashes `rounds` times and keeps the result.
    function compute(uint256 rounds) external {
        bytes32 h = bytes32(uint256(uint160(msg.sender)));
        for (uint256 i = 0; i < rounds; i++) {
            h = keccak256(abi.encode(h, i));
        }
        results[msg.sender] = uint256(h) | 1;
        emit Done(msg.sender, uint256(h));
    }

    /// Reads and writes `n` slots from `first` on.
    function store(uint256 first, uint256 n) external {
        uint256 sum = 1;
        for (uint256 i = first; i < first + n; i++) {
            unchecked {
                sum += cells[msg.sender][i];
            }
            cells[msg.sender][i] = sum;
        }
        emit Done(msg.sender, sum);
    }

    /// Works like compute and reverts in the end.
    function fail(uint256 rounds) external {
        bytes32 h = bytes32(uint256(uint160(msg.sender)));
        for (uint256 i = 0; i < rounds; i++) {
            h = keccak256(abi.encode(h, i));
        }
        results[msg.sender] = uint256(h);
        revert("as asked");
    }
}
