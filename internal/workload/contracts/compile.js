// Compiles the contracts in the given folders: NAME.sol gives NAME.hex, the runtime
// bytecode of the contract NAME. It needs solc from npm at the version below:
//
//   mkdir /tmp/solc && npm install --prefix /tmp/solc solc@0.8.28
//   NODE_PATH=/tmp/solc/node_modules node internal/workload/contracts/compile.js \
//       internal/workload/contracts internal/opchain/contracts
//
// With --check nothing is written; it fails where a .hex file differs.

const fs = require("fs");
const path = require("path");
const solc = require("solc");

const version = "0.8.28+commit.7893614a";
if (!solc.version().startsWith(version)) {
  console.error(`solc is ${solc.version()}, wanted ${version}`);
  process.exit(1);
}

const args = process.argv.slice(2);
const check = args.includes("--check");
let failed = false;
for (const dir of args.filter((a) => a !== "--check")) {
  for (const file of fs.readdirSync(dir).filter((f) => f.endsWith(".sol"))) {
    const name = path.basename(file, ".sol");
    const out = JSON.parse(
      solc.compile(
        JSON.stringify({
          language: "Solidity",
          sources: { [file]: { content: fs.readFileSync(path.join(dir, file), "utf8") } },
          settings: {
            evmVersion: "cancun",
            optimizer: { enabled: true, runs: 10000 },
            metadata: { bytecodeHash: "none", appendCBOR: false },
            outputSelection: { "*": { "*": ["evm.deployedBytecode.object", "storageLayout"] } },
          },
        }),
      ),
    );
    for (const e of out.errors || []) {
      console.error(e.formattedMessage);
      failed = failed || e.severity === "error";
    }
    if (failed) process.exit(1);
    const code = out.contracts[file][name].evm.deployedBytecode.object + "\n";
    const target = path.join(dir, name + ".hex");
    if (!check) {
      fs.writeFileSync(target, code);
    } else if (fs.readFileSync(target, "utf8") !== code) {
      console.error(`${target} is not what ${file} compiles to`);
      failed = true;
    }
  }
}
process.exit(failed ? 1 : 0);
