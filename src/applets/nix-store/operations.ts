/** Every operation of nix-store, by the long name of its flag. Each is loaded when it runs. */
import type { OperationSpec } from "./operation.ts";

const recursive = { help: "Hash the tree (its NAR) instead of the contents of a file" };
const hashGiven = { help: "The registration says hash and size, do not compute them" };

export const operations: Readonly<Record<string, OperationSpec>> = {
  realise: {
    letter: "r",
    aliases: ["realize"],
    summary: "Make paths valid: build derivations, fetch what can be fetched; print the results",
    usage: "[--dry-run | --check | --repair] [--ignore-unknown] PATHS…",
    options: {
      "dry-run": { help: "Say what would be built and fetched, and do nothing" },
      "ignore-unknown": { help: "Leave out what nobody knows how to make" },
      check: { help: "Build what is there again, and compare" },
      repair: { help: "Fetch or build again what is missing or damaged" },
    },
    load: async () => (await import("./realise.ts")).realisePaths,
  },
  "repair-path": {
    summary: "Fetch or build damaged paths again",
    usage: "PATHS…",
    options: {},
    load: async () => (await import("./repair-path.ts")).repairPaths,
  },
  query: {
    letter: "q",
    summary: "Tell what the store knows of paths",
    usage: "[QUERY] [--use-output] [--force-realise] PATHS…",
    options: {
      outputs: { help: "The outputs of derivations; the default" },
      requisites: { letter: "R", help: "The closure" },
      references: { help: "What the paths refer to" },
      referrers: { aliases: ["referers"], help: "What refers to the paths" },
      "referrers-closure": { aliases: ["referers-closure"], help: "What refers to the paths, directly or not" },
      deriver: { letter: "d", help: "The derivation that a path was built from" },
      "valid-derivers": { help: "All valid derivations that have the path as an output" },
      binding: { letter: "b", help: "The value of a variable, named by the first operand, in derivations" },
      hash: { help: "The hash of the contents (their NAR)" },
      size: { help: "The size of the contents (their NAR) in bytes" },
      tree: { help: "The references as a tree of text" },
      graph: { help: "The references as a graph for dot" },
      graphml: { help: "The references as a graph in GraphML" },
      resolve: { help: "The store paths that links lead to" },
      "include-outputs": { help: "With --requisites: of derivations, the existing outputs and their closures, too" },
      "use-output": { letter: "u", help: "Of derivations, ask about the outputs instead" },
      "force-realise": { letter: "f", aliases: ["force-realize"], help: "Realise the paths first" },
    },
    load: async () => (await import("./query/query.ts")).query,
  },
  add: {
    letter: "A",
    summary: "Add files or directories, and print their store paths",
    usage: "FILES…",
    options: {},
    load: async () => (await import("./add.ts")).add,
  },
  "add-fixed": {
    summary: "Add files under the path of a fixed-output derivation",
    usage: "[--recursive] ALGORITHM FILES…",
    options: { recursive },
    load: async () => (await import("./add.ts")).addFixed,
  },
  "print-fixed-path": {
    summary: "Print the path that a fixed-output derivation has",
    usage: "[--recursive] ALGORITHM HASH NAME",
    options: { recursive },
    load: async () => (await import("./print-fixed-path.ts")).printFixedPath,
  },
  dump: {
    summary: "Write a file or directory to standard output as a NAR",
    usage: "FILE",
    options: {},
    load: async () => (await import("./dump.ts")).dump,
  },
  restore: {
    summary: "Unpack the NAR on standard input to a path that does not exist",
    usage: "FILE",
    options: {},
    load: async () => (await import("./restore.ts")).restore,
  },
  export: {
    summary: "Write store paths to standard output in the form that --import reads",
    usage: "[--sign] PATHS…",
    options: { sign: { help: "Sign each with the RSA key signing-key.sec in the configuration directory" } },
    load: async () => (await import("./export.ts")).exportToStdout,
  },
  import: {
    summary: "Add the store paths on standard input, and print them",
    usage: "[--require-signature]",
    options: {
      "require-signature": {
        help: "Refuse what the owner of signing-key.pub in the configuration directory has not signed",
      },
    },
    load: async () => (await import("./import.ts")).importFromStdin,
  },
  "dump-db": {
    summary: "Print what the database says of paths, or of all",
    usage: "[PATHS…]",
    options: {},
    load: async () => (await import("./dump-db.ts")).dumpDb,
  },
  "load-db": {
    summary: "Register what --dump-db printed, from standard input",
    usage: "",
    options: {},
    load: async () => (await import("./register-validity.ts")).loadDb,
  },
  "register-validity": {
    summary: "Register paths that are in place, from standard input",
    usage: "[--reregister] [--hash-given]",
    options: { reregister: { help: "Also those that are valid already" }, "hash-given": hashGiven },
    load: async () => (await import("./register-validity.ts")).registerValidity,
  },
  "check-validity": {
    summary: "Fail unless all paths are valid",
    usage: "[--print-invalid] PATHS…",
    options: { "print-invalid": { help: "Print those that are not, instead of failing" } },
    load: async () => (await import("./check-validity.ts")).checkValidity,
  },
  verify: {
    summary: "Check that what is valid exists",
    usage: "[--check-contents] [--repair]",
    options: {
      "check-contents": { help: "Check that the contents are what they were, too" },
      repair: { help: "Fetch or build again what is missing or damaged" },
    },
    load: async () => (await import("./verify.ts")).verify,
  },
  "verify-path": {
    summary: "Check that the contents of paths are what they were",
    usage: "PATHS…",
    options: {},
    load: async () => (await import("./verify.ts")).verifyPaths,
  },
  optimise: {
    aliases: ["optimize"],
    summary: "Save space: make files with the same contents one",
    usage: "",
    options: {},
    load: async () => (await import("./optimise.ts")).optimise,
  },
  "read-log": {
    letter: "l",
    summary: "Print the build logs of paths",
    usage: "PATHS…",
    options: {},
    load: async () => (await import("./read-log.ts")).readLogs,
  },
  "print-env": {
    summary: "Print the environment of a derivation for a shell",
    usage: "DERIVATION",
    options: {},
    load: async () => (await import("./print-env.ts")).printEnv,
  },
  init: {
    summary: "Make the store and its database, if they are not there",
    usage: "",
    options: {},
    load: async () => (await import("./init.ts")).init,
  },
  "query-failed-paths": {
    summary: "Print the outputs whose builds have failed and are not tried again",
    usage: "",
    options: {},
    load: async () => (await import("./failed-paths.ts")).queryFailedPaths,
  },
  "clear-failed-paths": {
    summary: "Forget that builds of paths have failed; '*' means all",
    usage: "PATHS…",
    options: {},
    load: async () => (await import("./failed-paths.ts")).clearFailedPaths,
  },
  "generate-binary-cache-key": {
    summary: "Make a pair of keys to sign a binary cache with",
    usage: "NAME SECRET-KEY-FILE PUBLIC-KEY-FILE",
    options: {},
    load: async () => (await import("./generate-key.ts")).generateBinaryCacheKey,
  },
  serve: {
    summary: "Serve a client on standard input and output, as ssh runs it for other machines",
    usage: "[--write]",
    options: { write: { help: "Let the client add paths and have derivations built" } },
    load: async () => (await import("./serve.ts")).serveClient,
  },
};
