// SPDX-License-Identifier: LGPL-3.0-or-later
pragma solidity 0.8.28;

/// An NFT collection whose mints all draw their number from one counter.
contract Collection {
    uint256 public minted; // slot 0
    mapping(uint256 => address) public ownerOf; // slot 1
    mapping(address => uint256) public balanceOf; // slot 2

    event Transfer(address indexed from, address indexed to, uint256 indexed id);

    function mint() external returns (uint256 id) {
        id = ++minted;
        ownerOf[id] = msg.sender;
        balanceOf[msg.sender]++;
        emit Transfer(address(0), msg.sender, id);
    }
}
