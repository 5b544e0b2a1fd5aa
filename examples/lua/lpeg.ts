// LPeg, pattern matching for Lua: a module that the interpreter loads, built with the headers of the library.
import { fetchurl, shellBuild, unpack } from "silo";
import { library } from "./lua.ts";

const version = "1.0.2";

export const lpeg = shellBuild({
  name: `lpeg-${version}`,
  src: unpack(
    fetchurl({
      url: `https://www.inf.puc-rio.br/~roberto/lpeg/lpeg-${version}.tar.gz`,
      sha256: "48d66576051b6c78388faad09b70493093264588fcd0f258ddaab1cdd4a15ffe",
    }),
  ),
  libraries: [library.dev],
  buildPhase: "cc -O2 -fPIC -shared -o lpeg.so lpvm.c lpcap.c lptree.c lpcode.c lpprint.c",
  installPhase: `
    mkdir -p $out/lib/lua/5.4 $out/share/lua/5.4
    cp lpeg.so $out/lib/lua/5.4
    cp re.lua $out/share/lua/5.4`,
});

export default lpeg;
