/** Recipes and the Nix expressions that say the same. In an expression, `system` and `tree` (a directory beside the recipe) are known. */
import type { RecipeApi } from "../../src/recipe/api.ts";
import type { DerivationFields } from "../../src/recipe/silo.d.ts";

export interface NixCase {
  readonly name: string;
  readonly recipe: (silo: RecipeApi) => DerivationFields;
  readonly nix: string;
}

const sha256 = "0".repeat(52);
const fixed = "1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0";
const sri = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const sha512 = "a".repeat(128);

/** What one variable's value becomes. */
function variable(name: string, value: Parameters<RecipeApi["derivation"]>[0]["env"], nix: string): NixCase {
  return {
    name: `env: ${name}`,
    recipe: ({ derivation }) => derivation({ name: "v", builder: "/bin/sh", env: value! }),
    nix: `derivation { name = "v"; builder = "/bin/sh"; inherit system; ${nix} }`,
  };
}

function structured(
  name: string,
  value: NonNullable<Parameters<RecipeApi["derivation"]>[0]["structuredAttrs"]>,
  nix: string,
): NixCase {
  return {
    name: `structured: ${name}`,
    recipe: ({ derivation }) => derivation({ name: "s", builder: "/bin/sh", structuredAttrs: value }),
    nix: `derivation { name = "s"; builder = "/bin/sh"; inherit system; __structuredAttrs = true; ${nix} }`,
  };
}

export const nixCases: readonly NixCase[] = [
  {
    name: "the least",
    recipe: ({ derivation }) => derivation({ name: "x", builder: "/bin/sh" }),
    nix: `derivation { name = "x"; builder = "/bin/sh"; inherit system; }`,
  },
  {
    name: "another system",
    recipe: ({ derivation }) => derivation({ name: "x", builder: "b", system: "aarch64-linux" }),
    nix: `derivation { name = "x"; builder = "b"; system = "aarch64-linux"; }`,
  },
  {
    name: "arguments",
    recipe: ({ derivation }) =>
      derivation({ name: "x", builder: "b", args: ["-c", 'echo "hi"\n\t$out \\', 3, true, ["a", "b"]] }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; args = [ "-c" "echo \\"hi\\"\\n\\t$out \\\\" 3 true [ "a" "b" ] ]; }`,
  },
  variable(
    "strings",
    { A: "", B: "x y", C: "grüße ☃ 🎉", D: 'q"\\\n\r\t$' },
    `A = ""; B = "x y"; C = "grüße ☃ 🎉"; D = "q\\"\\\\\\n\\r\\t$";`,
  ),
  variable("booleans and null", { T: true, F: false, N: null }, "T = true; F = false; N = null;"),
  variable(
    "integers",
    { A: 0, B: -7, C: 9007199254740991, D: 9223372036854775807n, E: -9223372036854775807n },
    "A = 0; B = -7; C = 9007199254740991; D = 9223372036854775807; E = -9223372036854775807;",
  ),
  variable(
    "fractions",
    { A: 1.5, B: -0.1, C: 1234567.891, D: 0.00000123 },
    "A = 1.5; B = -0.1; C = 1234567.891; D = 1.23e-6;",
  ),
  variable(
    "lists",
    { A: [], B: ["a"], C: ["a", "b", 3, true, false, null, "z"], D: ["a", false] },
    `A = []; B = [ "a" ]; C = [ "a" "b" 3 true false null "z" ]; D = [ "a" false ];`,
  ),
  variable(
    "nested lists",
    { A: [[], "a", [], "b", []], B: [["a", ["b"]], [[]], ["c"]], C: [[null], "x"], D: [[[]], "x"] },
    `A = [ [] "a" [] "b" [] ]; B = [ [ "a" [ "b" ] ] [ [] ] [ "c" ] ]; C = [ [ null ] "x" ]; D = [ [ [] ] "x" ];`,
  ),
  variable(
    "odd names",
    { "a-b": "1", "a.b": "2", _: "3", ä: "4", "0": "5" },
    `"a-b" = "1"; "a.b" = "2"; _ = "3"; "ä" = "4"; "0" = "5";`,
  ),
  variable(
    "passAsFile and others that builders know",
    { passAsFile: ["big"], big: "x", allowedReferences: [], __impureHostDeps: ["/usr"], preferLocalBuild: true },
    `passAsFile = [ "big" ]; big = "x"; allowedReferences = []; __impureHostDeps = [ "/usr" ]; preferLocalBuild = true;`,
  ),
  variable(
    "strings that look like paths in the store",
    { A: "/nix/store/00000000000000000000000000000000-x" },
    `A = "/nix/store/00000000000000000000000000000000-x";`,
  ),
  {
    name: "placeholders",
    recipe: ({ derivation, placeholder, out }) =>
      derivation({
        name: "x",
        builder: "b",
        outputs: ["out", "dev"],
        env: { A: out, B: `${placeholder("dev")}/include` },
      }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; outputs = [ "out" "dev" ]; A = placeholder "out"; B = "\${placeholder "dev"}/include"; }`,
  },
  {
    name: "several outputs",
    recipe: ({ derivation }) => derivation({ name: "x", builder: "b", outputs: ["lib", "dev", "out"] }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; outputs = [ "lib" "dev" "out" ]; }`,
  },
  {
    name: "one output, said",
    recipe: ({ derivation }) => derivation({ name: "x", builder: "b", outputs: ["out"] }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; outputs = [ "out" ]; }`,
  },
  {
    name: "a dependency, interpolated",
    recipe: ({ derivation }) => {
      const a = derivation({ name: "a", builder: "b" });
      return derivation({ name: "x", builder: `${a}/bin/sh`, args: [`--with=${a}/lib`], env: { A: a } });
    },
    nix: `let a = derivation { name = "a"; builder = "b"; inherit system; };
      in derivation { name = "x"; builder = "\${a}/bin/sh"; inherit system; args = [ "--with=\${a}/lib" ]; A = a; }`,
  },
  {
    name: "dependencies on several outputs",
    recipe: ({ derivation }) => {
      const a = derivation({ name: "a", builder: "b", outputs: ["lib", "dev", "doc"] });
      return derivation({ name: "x", builder: "b", env: { A: a, B: `-I${a.dev}/include`, C: [a.output("lib")] } });
    },
    nix: `let a = derivation { name = "a"; builder = "b"; inherit system; outputs = [ "lib" "dev" "doc" ]; };
      in derivation { name = "x"; builder = "b"; inherit system; A = a; B = "-I\${a.dev}/include"; C = [ a.lib ]; }`,
  },
  {
    name: "a dependency by its hash part alone",
    recipe: ({ derivation }) => {
      const a = derivation({ name: "a", builder: "b" });
      return derivation({ name: "x", builder: "b", env: { A: a.path.slice(a.path.lastIndexOf("/") + 1) } });
    },
    nix: `let a = derivation { name = "a"; builder = "b"; inherit system; };
      in derivation { name = "x"; builder = "b"; inherit system; A = baseNameOf "\${a}"; }`,
  },
  {
    name: "a chain and a diamond",
    recipe: ({ derivation }) => {
      const a = derivation({ name: "a", builder: "b", outputs: ["out", "dev"] });
      const b = derivation({ name: "b", builder: a, env: { A: a.dev } });
      const c = derivation({ name: "c", builder: "b", env: { A: a } });
      return derivation({ name: "d", builder: `${b}`, args: [c], env: { ALL: [a, b, c, a.dev] } });
    },
    nix: `let a = derivation { name = "a"; builder = "b"; inherit system; outputs = [ "out" "dev" ]; };
          b = derivation { name = "b"; builder = a; inherit system; A = a.dev; };
          c = derivation { name = "c"; builder = "b"; inherit system; A = a; };
      in derivation { name = "d"; builder = "\${b}"; inherit system; args = [ c ]; ALL = [ a b c a.dev ]; }`,
  },
  {
    name: "the file of a derivation",
    recipe: ({ derivation, text }) => {
      const t = text("t", "x");
      const a = derivation({ name: "a", builder: "b", outputs: ["out", "dev"], env: { t } });
      const c = derivation({ name: "c", builder: a });
      return derivation({ name: "x", builder: "b", env: { A: c.drvPath } });
    },
    nix: `let t = builtins.toFile "t" "x";
          a = derivation { name = "a"; builder = "b"; inherit system t; outputs = [ "out" "dev" ]; };
          c = derivation { name = "c"; builder = a; inherit system; };
      in derivation { name = "x"; builder = "b"; inherit system; A = c.drvPath; }`,
  },
  {
    name: "texts, one in another",
    recipe: ({ derivation, text }) => {
      const a = text("a.txt", "hello\n");
      const b = text("b.txt", `see ${a} ☃`);
      return derivation({ name: "x", builder: "b", args: [b] });
    },
    nix: `let a = builtins.toFile "a.txt" "hello\\n"; b = builtins.toFile "b.txt" "see \${a} ☃";
      in derivation { name = "x"; builder = "b"; inherit system; args = [ b ]; }`,
  },
  {
    name: "a tree",
    recipe: ({ derivation, path }) => derivation({ name: "x", builder: "b", env: { src: path("./tree") } }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; src = tree; }`,
  },
  {
    name: "a tree with filter and name",
    recipe: ({ derivation, path }) =>
      derivation({
        name: "x",
        builder: "b",
        env: { src: path("tree", { name: "src", filter: (file, kind) => kind !== "symlink" && !file.endsWith(".o") }) },
      }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; src = builtins.path {
        path = tree; name = "src"; filter = path: type: type != "symlink" && builtins.match ".*\\\\.o" path == null; }; }`,
  },
  {
    name: "a tree whose filter looks into directories",
    recipe: ({ derivation, path }) =>
      derivation({
        name: "x",
        builder: "b",
        env: { src: path("tree", { filter: (file) => !file.startsWith("sub") }) },
      }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; src = builtins.filterSource (path: type: baseNameOf path != "sub") tree; }`,
  },
  {
    name: "an executable file as source",
    recipe: ({ derivation, path }) => derivation({ name: "x", builder: path("tree/sub/run.sh") }),
    nix: `derivation { name = "x"; builder = tree + "/sub/run.sh"; inherit system; }`,
  },
  {
    name: "fixed, flat",
    recipe: ({ derivation }) =>
      derivation({ name: "x", builder: "b", outputHash: fixed, outputHashAlgo: "sha256", outputHashMode: "flat" }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; outputHash = "${fixed}"; outputHashAlgo = "sha256"; outputHashMode = "flat"; }`,
  },
  {
    name: "fixed, mode left out",
    recipe: ({ derivation }) => derivation({ name: "x", builder: "b", outputHash: sha1, outputHashAlgo: "sha1" }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; outputHash = "${sha1}"; outputHashAlgo = "sha1"; }`,
  },
  {
    name: "fixed, recursive, SRI",
    recipe: ({ derivation }) => derivation({ name: "x", builder: "b", outputHash: sri, outputHashMode: "recursive" }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; outputHash = "${sri}"; outputHashMode = "recursive"; }`,
  },
  {
    name: "fixed, recursive, sha512 with prefix",
    recipe: ({ derivation }) =>
      derivation({
        name: "x",
        builder: "b",
        outputHash: `sha512:${sha512}`,
        outputHashAlgo: "",
        outputHashMode: "recursive",
      }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; outputHash = "sha512:${sha512}"; outputHashAlgo = ""; outputHashMode = "recursive"; }`,
  },
  {
    name: "a dependency on something fixed does not depend on how it is fetched",
    recipe: ({ derivation }) => {
      const src = derivation({ name: "src", builder: "fetch", outputHash: sri, env: { url: "a" } });
      return derivation({ name: "x", builder: "b", env: { src } });
    },
    nix: `let src = derivation { name = "src"; builder = "fetch"; inherit system; outputHash = "${sri}"; url = "a"; };
      in derivation { name = "x"; builder = "b"; inherit system src; }`,
  },
  {
    name: "two that fetch the same, both given as objects",
    recipe: ({ derivation }) => {
      const fetch = (url: string) => derivation({ name: "src", builder: "fetch", outputHash: sri, env: { url } });
      const [, second] = [fetch("a"), fetch("b")];
      return derivation({ name: "x", builder: "b", env: { second } });
    },
    nix: `let fetch = url: derivation { name = "src"; builder = "fetch"; inherit system url; outputHash = "${sri}"; };
      in derivation { name = "x"; builder = "b"; inherit system; second = fetch "b"; }`,
  },
  {
    name: "fetchurl",
    recipe: ({ fetchurl }) => fetchurl({ url: "https://example.org/dir/hello-2.12.tar.gz", sha256: fixed }),
    nix: `import <nix/fetchurl.nix> { url = "https://example.org/dir/hello-2.12.tar.gz"; sha256 = "${fixed}"; }`,
  },
  {
    name: "fetchurl, SRI and name",
    recipe: ({ fetchurl }) => fetchurl({ url: "http://example.org/x?y=z&w", hash: sri, name: "x.zip" }),
    nix: `import <nix/fetchurl.nix> { url = "http://example.org/x?y=z&w"; hash = "${sri}"; name = "x.zip"; }`,
  },
  {
    name: "fetchurl, executable, sha512",
    recipe: ({ fetchurl }) => fetchurl({ url: "file:///x/busybox", sha512, executable: true }),
    nix: `import <nix/fetchurl.nix> { url = "file:///x/busybox"; sha512 = "${sha512}"; executable = true; }`,
  },
  {
    name: "fetchurl, sha1",
    recipe: ({ fetchurl }) => fetchurl({ url: "ftp://x/busybox", sha1 }),
    nix: `import <nix/fetchurl.nix> { url = "ftp://x/busybox"; sha1 = "${sha1}"; }`,
  },
  {
    name: "fetchurl, hash not known yet",
    recipe: ({ fetchurl }) => fetchurl({ url: "https://example.org/x" }),
    nix: `import <nix/fetchurl.nix> { url = "https://example.org/x"; sha256 = ""; }`,
  },
  {
    name: "something built from what is fetched",
    recipe: ({ fetchurl, derivation }) => {
      const src = fetchurl({ url: "https://example.org/hello.tar.gz", sha256 });
      return derivation({ name: "hello", builder: "/bin/sh", args: ["-c", `tar xf ${src}`], env: { src } });
    },
    nix: `let src = import <nix/fetchurl.nix> { url = "https://example.org/hello.tar.gz"; sha256 = "${sha256}"; };
      in derivation { name = "hello"; builder = "/bin/sh"; inherit system src; args = [ "-c" "tar xf \${src}" ]; }`,
  },
  structured(
    "values",
    { a: "x", b: true, c: false, d: null, e: 3, f: -1, g: 1.5, h: [], i: {}, j: ["x", ["y"], { k: 1 }] },
    `a = "x"; b = true; c = false; d = null; e = 3; f = -1; g = 1.5; h = []; i = {}; j = [ "x" [ "y" ] { k = 1; } ];`,
  ),
  structured(
    "strings and keys",
    { ä: "grüße ☃ 🎉", "a b": 'q"\\\n\r\t/', Z: "", a: "\u007f", "0": "n" },
    `"ä" = "grüße ☃ 🎉"; "a b" = "q\\"\\\\\\n\\r\\t/"; Z = ""; a = "\u007f"; "0" = "n";`,
  ),
  structured(
    "small fractions",
    { a: 0.00015, b: 0.000015, c: -2.5e-9, d: 0.1 },
    "a = 0.00015; b = 0.000015; c = -2.5e-9; d = 0.1;",
  ),
  {
    name: "structured: dependencies, outputs and arguments",
    recipe: ({ derivation, text }) => {
      const a = derivation({ name: "a", builder: "b", outputs: ["out", "dev"] });
      const t = text("t", "x");
      return derivation({
        name: "s",
        builder: `${a}/sh`,
        args: ["-c", t],
        outputs: ["out", "lib"],
        structuredAttrs: { deps: { host: [a, a.dev], file: `${t}` }, outputChecks: { out: { maxSize: 5 } } },
      });
    },
    nix: `let a = derivation { name = "a"; builder = "b"; inherit system; outputs = [ "out" "dev" ]; }; t = builtins.toFile "t" "x";
      in derivation { name = "s"; builder = "\${a}/sh"; inherit system; args = [ "-c" t ]; outputs = [ "out" "lib" ]; __structuredAttrs = true;
        deps = { host = [ a a.dev ]; file = "\${t}"; }; outputChecks = { out = { maxSize = 5; }; }; }`,
  },
  {
    name: "structured: fixed",
    recipe: ({ derivation }) =>
      derivation({
        name: "s",
        builder: "b",
        structuredAttrs: { url: "u" },
        outputHash: sri,
        outputHashMode: "recursive",
      }),
    nix: `derivation { name = "s"; builder = "b"; inherit system; __structuredAttrs = true; url = "u"; outputHash = "${sri}"; outputHashMode = "recursive"; }`,
  },
  {
    name: "content-addressed",
    recipe: ({ derivation }) =>
      derivation({
        name: "x",
        builder: "b",
        outputs: ["out", "dev"],
        contentAddressed: true,
        outputHashAlgo: "sha256",
        outputHashMode: "recursive",
      }),
    nix: `derivation { name = "x"; builder = "b"; inherit system; outputs = [ "out" "dev" ]; __contentAddressed = true; outputHashAlgo = "sha256"; outputHashMode = "recursive"; }`,
  },
  {
    name: "something built from what is content-addressed",
    recipe: ({ derivation }) => {
      const a = derivation({
        name: "a",
        builder: "b",
        outputs: ["out", "dev"],
        contentAddressed: true,
        outputHashAlgo: "sha256",
        outputHashMode: "recursive",
      });
      return derivation({ name: "x", builder: `${a}/bin/sh`, env: { A: a.dev } });
    },
    nix: `let a = derivation { name = "a"; builder = "b"; inherit system; outputs = [ "out" "dev" ]; __contentAddressed = true; outputHashAlgo = "sha256"; outputHashMode = "recursive"; };
      in derivation { name = "x"; builder = "\${a}/bin/sh"; inherit system; A = a.dev; }`,
  },
  {
    name: "the standard environment is a derivation as any other",
    recipe: ({ derivation, text, hostPaths }) =>
      derivation({
        name: "x",
        builder: "/bin/sh",
        args: ["-e", text("setup.sh", "echo\n")],
        env: { __impureHostDeps: [...hostPaths] },
      }),
    nix: `derivation { name = "x"; builder = "/bin/sh"; inherit system; args = [ "-e" (builtins.toFile "setup.sh" "echo\\n") ];
        __impureHostDeps = [ "/bin" "/usr" "/lib" "/lib64" "/etc/alternatives" ]; }`,
  },
];
