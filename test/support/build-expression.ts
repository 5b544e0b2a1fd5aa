/**
 * Expressions with many derivations of every kind, made up from a seed: chains and diamonds, several outputs, references in
 * text, in binary files, in link targets and in file names, to themselves and to each other, hard links, fixed outputs,
 * graphs of references, structured attributes, attributes as files, and builders that fail, are silent, noisy or fork.
 */
import { createHash } from "node:crypto";
import { type Chance, chanceFrom } from "./random-store.ts";
import { makeDerivation } from "./peer-stores.ts";

/** A set of the derivations `d0`, `d1`, …; every later one may use those before it. */
export function buildExpression(seed: number, count: number): string {
  const chance = chanceFrom(seed);
  const nodes = Array.from({ length: count }, (_, i) => `  d${i} = ${derivationText(chance, i)};`);
  return `let ${makeDerivation}\nall = rec {\n${nodes.join("\n")}\n};\nin all\n`;
}

type Kind = (chance: Chance, inputs: readonly string[], index: number) => { script: string; extra?: string };

function derivationText(chance: Chance, index: number): string {
  const inputs = Array.from({ length: Math.min(index, chance.upTo(4)) }, () => {
    // Failures are few, but what depends on one fails, too: prefer what is old.
    return `d${chance.oneIn(3) ? chance.upTo(index) : chance.upTo(Math.min(index, 20))}`;
  });
  const kind = index < 20 || !chance.oneIn(12) ? chance.pick(kinds) : chance.pick(rareKinds);
  const { script, extra = "" } = kind(chance, [...new Set(inputs)], index);
  const uses = [...new Set(inputs)].map((input) => `\${${input}}`).join(" ");
  const indented = script.replaceAll("''", "");
  return `mk "n${index}" ''${indented}'' { uses = "${uses}"; ${extra} }`;
}

const b = "/bin/busybox";
const show = (inputs: readonly string[]) => inputs.map((input) => `\${${input}}`).join(" ");

const kinds: readonly Kind[] = [
  (_, inputs, i) => ({ script: `echo ${i} ${show(inputs)} > $out` }),
  (_, inputs) => ({
    script: `${b} mkdir -p $out/bin; echo ${show(inputs)} > $out/bin/run; ${b} chmod 755 $out/bin/run; ${b} ln -s $out/bin/run $out/link; ${b} ln -s ${show(inputs.slice(0, 1)) || "nowhere"} $out/other`,
  }),
  (_, inputs) => ({
    script: `echo out $dev > $out; ${b} mkdir $dev; echo ${show(inputs)} > $dev/x; echo doc > $doc; echo seen $out $out`,
    extra: `outputs = [ "out" "dev" "doc" ];`,
  }),
  (_, inputs) => ({ script: `echo "self $out" > $out; echo ${show(inputs)}` }),
  (chance, inputs) => ({
    script: `${b} dd if=/dev/zero of=$out bs=${1 + chance.upTo(70000)} count=1 2>/dev/null; for i in ${show(inputs)}; do printf '\\001\\377%s\\000\\002' "$i" >> $out; done`,
  }),
  (_, inputs) => ({
    script: `${b} mkdir $out; echo x > $out/a; ${b} ln $out/a $out/b; ${b} ln $out/a $out/c; for i in ${show(inputs)}; do ${b} touch $out/$(${b} basename $i); done; ${b} chmod 4755 $out/a 2>/dev/null; ${b} chmod 600 $out/c`,
  }),
  (_, inputs, i) => fixed(i, "flat", `fixed ${i}\n`, inputs),
  (_, inputs, i) => fixed(i, "recursive", `tree ${i}\n`, inputs),
  (_, inputs) => ({
    script: `${b} cat graph > $out`,
    extra: `exportReferencesGraph = [ "graph" ${inputs[0] ?? `(builtins.toFile "f" "x")`} ];`,
  }),
  (_, inputs) => ({
    script: `${b} cat twice > $out`,
    extra: `exportReferencesGraph = [ "twice" (builtins.toFile "f" "${inputs.length}") "twice" (builtins.toFile "g" "x") ];`,
  }),
  (_, inputs, i) => ({
    script: `${b} mkdir $out; . ./.attrs.sh; ${b} cp .attrs.sh .attrs.json $out/`,
    extra: `__structuredAttrs = true; builder = "${b}"; PATH = "/bin"; number = ${i}; float = ${i}.5; list = [ 1 "two" true null ]; set = { a = ${i}; "b c" = "it's"; }; nested = [ [ 1 ] ]; yes = true; no = false; big = 9999999999; text = "line\\nline"; inputsOf = [ ${inputs.join(" ")} ];`,
  }),
  (_, inputs, i) => ({
    script: `${b} cat $bigPath > $out; echo $small >> $out`,
    extra: `passAsFile = [ "big" ]; big = "contents ${i} ${show(inputs)}"; small = "s";`,
  }),
  () => ({
    script: `${b} env | ${b} sed -e "s,$NIX_BUILD_TOP,TOP,g" > $out; ${b} stat -c %A /proc/self/fd/0 >> $out`,
  }),
  () => ({
    script: `for i in $(${b} seq 1 500); do echo "line $i of many, to have something to compress"; done; echo > $out`,
  }),
  () => ({ script: `(${b} sleep 1; echo late > $out.late) & echo early > $out` }),
  (_, inputs) => ({
    script: `echo ${show(inputs)} > $out`,
    extra: `preferLocalBuild = true; allowSubstitutes = false;`,
  }),
  (_, inputs) => ({ script: `echo ${show(inputs)} \${builtins.placeholder "out"} > $out` }),
];

const rareKinds: readonly Kind[] = [
  (chance) => ({ script: `echo failing; exit ${1 + chance.upTo(100)}` }),
  () => ({ script: `kill -TERM $$; ${b} sleep 10` }),
  () => ({ script: `true` }),
  () => ({ script: `echo x > $out; ${b} chmod 666 $out` }),
  (_, inputs) => ({ script: `echo ${show(inputs)} > $out`, extra: `allowedReferences = [ ];` }),
  (_, inputs) => ({ script: `echo ${show(inputs)} > $out`, extra: `disallowedRequisites = [ ${inputs.join(" ")} ];` }),
  () => ({ script: `echo $b > $out; echo $out > $b`, extra: `outputs = [ "out" "b" ];` }),
  (_, inputs, i) => fixed(i, "flat", `wrong ${i}\n`, inputs, "another"),
];

/** A fixed output with this content; its hash is right unless another content's is stated. */
function fixed(index: number, mode: "flat" | "recursive", content: string, inputs: readonly string[], stated?: string) {
  const text = stated ?? content;
  const digest = mode === "flat" ? createHash("sha256").update(text).digest() : narOfFile(text);
  const hash = `outputHashMode = "${mode}"; outputHashAlgo = "sha256"; outputHash = "${digest.toString("hex")}";`;
  return {
    script: `echo made of ${show(inputs)}; printf '${content.replace("\n", "\\n")}' > $out; : ${index}`,
    extra: hash,
  };
}

/** SHA-256 of the NAR of a regular file. */
function narOfFile(text: string): Buffer {
  const string = (bytes: string) => {
    const length = Buffer.alloc(8);
    length.writeUInt32LE(bytes.length);
    return Buffer.concat([length, Buffer.from(bytes), Buffer.alloc(-bytes.length & 7)]);
  };
  const parts = ["nix-archive-1", "(", "type", "regular", "contents", text, ")"];
  return createHash("sha256")
    .update(Buffer.concat(parts.map(string)))
    .digest();
}
