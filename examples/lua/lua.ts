// Lua from its upstream tarball: a library with an output for its headers, and the interpreter, which is linked to it.
import { fetchurl, shellBuild, unpack } from "silo";

const version = "5.4.4";

// The hash is the one that lua.org tells, of the archive itself.
const source = unpack(
  fetchurl({
    url: `https://www.lua.org/ftp/lua-${version}.tar.gz`,
    sha256: "164c7849653b80ae67bec4b7473b884bf5cc8d2dca05653475ec2ed27b9ebf61",
  }),
  { name: `lua-${version}-source` },
);

/** The library is in `out`, the headers are in `dev`. */
export const library = shellBuild({
  name: `liblua-${version}`,
  outputs: ["out", "dev"],
  src: source,
  makeFlags: ["-C", "src"],
  buildPhase: `
    make $makeFlags liblua.a MYCFLAGS="-fPIC -DLUA_USE_LINUX"
    cc -shared -Wl,-soname,liblua.so.5.4 -o liblua.so.5.4 -Wl,--whole-archive src/liblua.a -Wl,--no-whole-archive -lm -ldl`,
  installPhase: `
    mkdir -p $out/lib $dev/include
    cp liblua.so.5.4 $out/lib
    ln -s liblua.so.5.4 $out/lib/liblua.so
    cp src/lua.h src/luaconf.h src/lualib.h src/lauxlib.h src/lua.hpp $dev/include`,
});

/** The interpreter. */
export const lua = shellBuild({
  name: `lua-${version}`,
  outputs: ["out", "man"],
  src: source,
  libraries: [library, library.dev],
  buildPhase: "cc -O2 -Wl,-E $LDFLAGS -o lua src/lua.c -llua",
  doCheck: true,
  checkPhase: `./lua -e 'assert(_VERSION == "Lua 5.4" and 2^10 == 1024)'`,
  installPhase: `
    mkdir -p $out/bin $out/share/man/man1
    cp lua $out/bin
    cp doc/lua.1 $out/share/man/man1`,
});

export default lua;
