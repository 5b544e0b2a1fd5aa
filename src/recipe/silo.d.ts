/**
 * silo: build recipes in TypeScript.
 *
 * A recipe is a TypeScript file that says how to build something; `silo build` builds its default export, and
 * `silo build ./file.ts#name` the export `name`. Recipes import other recipes as any module does.
 *
 * Everything here has a path in the store, and in a string it is that path: `${zlib}/include`. What a string mentions, the
 * build depends on; nothing else is needed. The same recipe has the same paths on every machine.
 */

/** Something with a path in the store. In a string it is that path. */
export interface StoreObject {
  /** The full path, such as `/nix/store/<hash>-zlib-1.3`. */
  readonly path: string;
  toString(): string;
  toJSON(): string;
}

/** A file or tree that is in the store before anything is built: from {@link text}, {@link path} or {@link storePath}. */
export interface Source extends StoreObject {
  readonly name: string;
}

/** One of the things that a derivation makes. */
export interface Output extends StoreObject {
  /** Such as `out` or `dev`. */
  readonly outputName: string;
  readonly derivation: Derivation;
}

/**
 * Something to build. In a string it is the path of its first output; `${zlib.dev}` is that of the output `dev`.
 */
export type Derivation<Outputs extends string = never> = DerivationFields & {
  readonly [name in Exclude<Outputs, keyof DerivationFields>]: Output;
};

export interface DerivationFields extends StoreObject {
  readonly name: string;
  /** The machine that can build it, such as `x86_64-linux`. */
  readonly system: string;
  /** The path of the `.drv` file. In a string, it stands for everything needed to build the derivation. */
  readonly drvPath: string;
  readonly outputNames: readonly string[];
  /** For a name that is not known when the recipe is written. Throws when there is no such output. */
  output(name: string): Output;
}

/**
 * The value of an environment variable or argument. `true` becomes `1`; `false` and `null` become empty; the elements of a list
 * are separated by spaces. Objects of the store become their paths.
 */
export type Value = string | number | bigint | boolean | null | StoreObject | readonly Value[];

/** What {@link DerivationOptions.structuredAttrs} may hold. */
export type JsonValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | StoreObject
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export type HashAlgorithm = "md5" | "sha1" | "sha256" | "sha512";

/** The machine that silo runs on, such as `x86_64-linux`. */
export const currentSystem: string;

/**
 * Stands for the path of an output of the derivation that it is used in, which cannot be known before: `${out}/bin`.
 * In shell scripts, `$out` is the same and reads better.
 */
export const out: string;

/** As {@link out}, for an output of another name. */
export function placeholder(output: string): string;

export interface DerivationOptions<Outputs extends string = "out"> {
  /** What comes behind the hash in the paths: letters, digits and `+-._?=`. */
  readonly name: string;
  /** The program to run, or something like `builtin:fetchurl`. */
  readonly builder: string | StoreObject;
  readonly args?: readonly Value[];
  /** {@link currentSystem} unless given. */
  readonly system?: string;
  /** What is made, the main thing first; `["out"]` unless given. */
  readonly outputs?: readonly Outputs[];
  /** The builder's environment, besides what it always has: `name`, `builder`, `system` and a variable for each output. */
  readonly env?: { readonly [variable: string]: Value };
  /** In place of `env`: structured data, which the builder finds as JSON in the file `$NIX_ATTRS_JSON_FILE`. */
  readonly structuredAttrs?: { readonly [attribute: string]: JsonValue };
  /** The hash of what is made, when that is known; the build may then use the network. `sha256-…` or any other form. */
  readonly outputHash?: string;
  /** Needed when {@link outputHash} does not say which it is. */
  readonly outputHashAlgo?: HashAlgorithm | "";
  /** What is hashed: the contents of one file (`flat`, unless given), or a file or tree with its metadata. */
  readonly outputHashMode?: "flat" | "recursive";
  /** Experimental, as in Nix: paths follow from what is made. `outputHashMode` and `outputHashAlgo` say how. */
  readonly contentAddressed?: boolean;
}

/**
 * Anything that a `.drv` file can say, as `builtins.derivation` of Nix makes it. Most recipes use {@link shellBuild} or
 * {@link runCommand}.
 *
 *     derivation({ name: "greeting", builder: `${shell}/bin/sh`, args: ["-c", "echo hello > $out"] })
 *
 * In a sandbox, the builder sees what its strings mention, and of the machine only what the variable `__impureHostDeps` lists:
 * with `builder: "/bin/sh"` goes `env: { __impureHostDeps: hostPaths }`.
 */
export function derivation<const Outputs extends string = "out">(
  options: DerivationOptions<Outputs>,
): Derivation<Outputs>;

/** A file of the given contents. May mention other sources, but nothing that has to be built: see {@link textFile}. */
export function text(name: string, contents: string): Source;

export interface TextFileOptions {
  readonly executable?: boolean;
}

/** A file of the given contents, made by a build, so that it may mention what others make. */
export function textFile(name: string, contents: string, options?: TextFileOptions): Derivation<"out">;

export type FileKind = "regular" | "directory" | "symlink" | "other";

export interface PathOptions {
  /** The last part of the path unless given. */
  readonly name?: string;
  /**
   * Says which files take part. `path` begins at the tree's own directory: `src/main.c`. A directory that does not take part
   * is not looked into.
   */
  readonly filter?: (path: string, kind: FileKind) => boolean;
}

/** A file or tree of this machine, copied to the store. A relative path begins at the directory of the recipe that says it. */
export function path(path: string, options?: PathOptions): Source;

/** Something that is in the store already, by its full path. */
export function storePath(path: string): Source;

/** The expected hash. Without one, the build fails and says which to write. */
export interface ExpectedHash {
  /** `sha256-<base64>`, or with any other algorithm. */
  readonly hash?: string;
  readonly sha256?: string;
  readonly sha512?: string;
  readonly sha1?: string;
  readonly md5?: string;
}

export interface FetchOptions extends ExpectedHash {
  /** `https:` or `http:`; also `file:`, for builds without a sandbox, which hides the file. For a file of yours: {@link path}. */
  readonly url: string;
  /** The last part of the URL unless given. */
  readonly name?: string;
  /** Makes the file executable; the hash is then that of a file with its metadata. */
  readonly executable?: boolean;
}

/**
 * A file from the network. The hash is that of its contents, as `sha256sum` prints it or in any other form.
 *
 *     fetchurl({ url: "https://example.org/hello-2.12.tar.gz", sha256: "…" })
 */
export function fetchurl(options: FetchOptions): Derivation<"out">;

export interface FetchTarballOptions extends ExpectedHash {
  readonly url: string;
  /** `source` unless given. */
  readonly name?: string;
}

/**
 * The contents of an archive (tar, also with gzip, bzip2, xz or zstd, or zip) from the network. If all is in one directory, then
 * what is in that. The hash is that of the unpacked tree, as in Nix: leave it out, and the failing build says which it is. To check
 * the hash of the archive itself, which its makers may tell, use `unpack(fetchurl(…))`.
 */
export function fetchTarball(options: FetchTarballOptions): Derivation<"out">;

export interface UnpackOptions {
  /** `source` unless given. */
  readonly name?: string;
}

/** The contents of an archive: see {@link fetchTarball}. */
export function unpack(archive: StoreObject | string, options?: UnpackOptions): Derivation<"out">;

/** What {@link shellBuild} and {@link runCommand} have in common. */
export interface ShellOptions<Outputs extends string = "out"> {
  readonly outputs?: readonly Outputs[];
  readonly system?: string;
  /** Programs to run: their `bin` directories come first in PATH. */
  readonly tools?: readonly StoreObject[];
  /**
   * Libraries: their `include` and `lib` directories are made known to the compiler, the linker and pkg-config, and their `bin`
   * directories are in PATH.
   */
  readonly libraries?: readonly StoreObject[];
  /** Further variables of the environment. */
  readonly env?: { readonly [variable: string]: Value };
  /**
   * Directories of the machine that the build may see besides the store: where the shell, the compiler and so on are. They do
   * not count in the hash. {@link hostPaths} unless given.
   */
  readonly hostPaths?: readonly string[];
  /** Directories of the machine at the end of PATH: `["/usr/bin", "/bin"]` unless given. */
  readonly hostPath?: readonly string[];
  /** The shell, of POSIX at least: `/bin/sh` unless given. */
  readonly shell?: string | StoreObject;
}

/** Where a machine has its programs: `/bin`, `/usr`, `/lib` and so on. */
export const hostPaths: readonly string[];

/**
 * Runs a shell script that makes `$out`. The script ends with the first command that fails.
 *
 *     runCommand("greeting", "echo hello > $out")
 */
export function runCommand<const Outputs extends string = "out">(
  name: string,
  script: string,
  options?: ShellOptions<Outputs>,
): Derivation<Outputs>;

export interface ShellBuildOptions<Outputs extends string = "out"> extends ShellOptions<Outputs> {
  readonly name: string;
  /** A source tree, or an archive of one. Without it there is nothing to unpack and patch. */
  readonly src?: StoreObject | string;
  /** Applied with `patch -p1`. */
  readonly patches?: readonly (StoreObject | string)[];
  /** Arguments of `./configure`, besides `--prefix`. */
  readonly configureFlags?: readonly Value[];
  /** Arguments of every `make`. */
  readonly makeFlags?: readonly Value[];
  /** Arguments of `make` when it installs: `install` unless given. */
  readonly installFlags?: readonly Value[];
  /** Runs `checkPhase`. */
  readonly doCheck?: boolean;
  /** What to do in place of a phase's default, as a shell script. */
  readonly unpackPhase?: string;
  readonly patchPhase?: string;
  readonly configurePhase?: string;
  readonly buildPhase?: string;
  readonly checkPhase?: string;
  readonly installPhase?: string;
  /** Runs last. By default, moves headers to the output `dev` and manual pages to `man`, where there are such outputs. */
  readonly fixupPhase?: string;
}

/**
 * Builds in the usual way: unpack, patch, `./configure`, `make`, `make install`; each phase can be replaced by a script of your own.
 *
 * Each phase runs in the source's directory. Besides the shell, the defaults need cp, chmod, mkdir, mv, rm and find, and according
 * to what is there: tar, patch, make, and whatever the source's own build system needs, such as a compiler.
 *
 *     shellBuild({
 *       name: "hello-2.12",
 *       src: fetchTarball({ url: "https://example.org/hello-2.12.tar.gz", sha256: "…" }),
 *     })
 */
export function shellBuild<const Outputs extends string = "out">(
  options: ShellBuildOptions<Outputs>,
): Derivation<Outputs>;
