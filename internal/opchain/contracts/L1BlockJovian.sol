// SPDX-License-Identifier: LGPL-3.0-or-later
pragma solidity 0.8.28;

/// Stands behind the proxy of the L1Block predeploy and teaches the Isthmus
/// implementation, to which it passes everything on, the attributes of Jovian:
/// those of Isthmus followed by the DA footprint gas scalar (uint16).
///
/// Runs by delegatecall in the storage of the predeploy, so it has none of its own.
contract L1BlockJovian {
    fallback() external {
        assembly {
            // The Isthmus implementation, where the genesis of the registry has it.
            let implementation := 0xc0D3C0d3C0d3C0D3c0d3C0d3c0D3C0d3c0d30015
            // Slot 8, from the right: operator fee constant (8 bytes), operator fee
            // scalar (4 bytes), DA footprint gas scalar (2 bytes).
            let slot := 8
            let selector := shr(224, calldataload(0))

            // daFootprintGasScalar()
            if eq(selector, 0xfe3d5710) {
                mstore(0, and(shr(96, sload(slot)), 0xffff))
                return(0, 32)
            }

            // setL1BlockValuesJovian() is passed on as setL1BlockValuesIsthmus(), which
            // checks the caller and overwrites the whole slot.
            calldatacopy(0, 0, calldatasize())
            let jovian := eq(selector, 0x3db6be2b)
            if jovian {
                mstore(0, or(shl(224, 0x098999be), shr(32, shl(32, mload(0)))))
            }
            let ok := delegatecall(gas(), implementation, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if iszero(ok) {
                revert(0, returndatasize())
            }
            if jovian {
                sstore(slot, or(sload(slot), shl(96, shr(240, calldataload(176)))))
            }
            return(0, returndatasize())
        }
    }
}
