/** What `silo init` writes: a recipe to begin with, and what editors need to complete and check it. */
// @ts-expect-error: as text, not for its types
import declarations from "./silo.d.ts" with { type: "text" };

/** The declarations of the module "silo", as editors want them. */
export const declarationFile = String(declarations);

/** Where that file goes. Beside the recipes it would be taken for what silo.ts compiles to. */
export const declarationPath = ".silo/silo.d.ts";

export const starterRecipe = `// What silo builds. 'silo build' builds the default export, 'silo build .#name' another one, 'silo run .#name' runs its program,
// and 'silo shell .#name' starts a shell with all that it is built with. Editors know what "silo" exports from ${declarationPath}.
import { runCommand, shellBuild, text } from "silo";

// A file made by a shell script. In a string, something built is its path, and what a string mentions is built before.
const words = text("words", "Hello from silo!\\n");
export const greeting = runCommand("greeting", \`tr a-z A-Z < \${words} > $out\`);

// A program from its source: unpack, patch, ./configure, make, make install, as far as these are there. Here the source is one file;
// for a project use path("./src"), or fetchTarball({ url: "https://…", sha256: "…" }): leave out the hash, and silo says which it is.
// It takes the C compiler of this machine: 'apt-get install gcc' or the like.
const source = text(
  "hello.c",
  \`#include <stdio.h>
int main(void) {
  puts("Hello, world!");
  return 0;
}
\`,
);
export const hello = shellBuild({
  name: "hello-1.0",
  env: { CFLAGS: "-O2" },
  buildPhase: \`cc $CFLAGS -o hello \${source}\`,
  installPhase: "mkdir -p $out/bin && cp hello $out/bin",
});

export default greeting;
`;

export const tsconfig = `{
  "compilerOptions": {
    "target": "ESNext",
    "lib": ["ESNext"],
    "module": "Preserve",
    "moduleResolution": "Bundler",
    "moduleDetection": "force",
    "allowImportingTsExtensions": true,
    "noEmit": true,
    "strict": true,
    "skipLibCheck": true,
    "types": [],
    "paths": { "silo": ["./${declarationPath}"] }
  },
  "include": ["*.ts"]
}
`;
