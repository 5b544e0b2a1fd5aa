// A calculator in Lua: 'silo run ./examples/lua -- "2 * (3 + 4)"'. It, the interpreter and the library that it uses are built
// from their sources; the only thing taken from the machine is the C compiler with what belongs to it.
import { path, runCommand, textFile } from "silo";
import { lpeg } from "./lpeg.ts";
import { lua } from "./lua.ts";

export { lpeg, lua };

const program = path("calculator.lua");

/** What starts it: all paths are in the text, so all of it is built before, and kept as long as the calculator is. */
const launcher = textFile(
  "calculate",
  `#!/bin/sh
LUA_CPATH="${lpeg}/lib/lua/5.4/?.so" exec ${lua}/bin/lua ${program} "$@"
`,
  { executable: true },
);

export const calculator = runCommand("calculator-1.0", `mkdir -p $out/bin && ln -s ${launcher} $out/bin/calculator`);

/** Built only when it calculates right. */
export const test = runCommand(
  "calculator-test",
  `
    for case in "1 + 2 = 3" "2 * (3 + 4) = 14" "7 - 2 - 1 = 4" "2 + 3 * 4 = 14"; do
      expected=\${case##*= }
      got=$(${calculator}/bin/calculator "\${case%% =*}")
      if [ "$got" != "$expected" ]; then echo "$case, but got $got" >&2; exit 1; fi
      echo "$case" >>$out
    done`,
);

export default calculator;
