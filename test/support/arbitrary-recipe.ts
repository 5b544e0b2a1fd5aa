/** Recipes made at random, each as what our function takes and as the Nix expression that says the same. */
import fc from "fast-check";
import type { RecipeApi } from "../../src/recipe/api.ts";
import type { Derivation, JsonValue, Value } from "../../src/recipe/silo.d.ts";

/** A value with what was made before at hand, and the Nix expression of it, in which that is called `d0`, `d1`, …. */
interface Spelt<T> {
  readonly value: (made: readonly Derivation[]) => T;
  readonly nix: (count: number) => string;
}

export interface RandomRecipe {
  readonly make: (silo: RecipeApi, made: readonly Derivation[]) => Derivation;
  /** @param count how many were made before */
  readonly nix: (count: number) => string;
}

const text = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "a b",
    "$out",
    "$" + "{x}",
    "''",
    '"',
    "\\",
    "\\n",
    "\n\r\t",
    "grüße",
    "☃🎉",
    "/nix/store",
    "-O2",
    "\u007f",
    "~/x",
  ),
  fc.string({ unit: "binary", maxLength: 12 }).map((each) => each.replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, "?")),
);

export function quoteNix(string: string): string {
  const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  return `"${string.replace(/["\\$]/g, "\\$&").replace(/[\n\r\t]/g, (each) => escapes[each]!)}"`;
}

const constant = <T extends string | number | boolean | null>(value: T, nix: string): Spelt<T> => ({
  value: () => value,
  nix: () => nix,
});

const scalar: fc.Arbitrary<Spelt<string | number | boolean | null>> = fc.oneof(
  text.map((each) => constant<string | number | boolean | null>(each, quoteNix(each))),
  fc.maxSafeInteger().map((each) => constant<string | number | boolean | null>(each, `(${each})`)),
  fc.boolean().map((each) => constant<string | number | boolean | null>(each, String(each))),
  fc.constant(constant<string | number | boolean | null>(null, "null")),
);

/** Which of those made before, from the last backwards, and how it is mentioned. */
const mention: fc.Arbitrary<Spelt<string | Derivation>> = fc
  .tuple(fc.nat(20), fc.constantFrom("object", "string", "output", "drvPath"), text)
  .map(([back, how, around]) => {
    const index = (count: number) => (count === 0 ? undefined : count - 1 - (back % count));
    return {
      value(made) {
        const at = index(made.length);
        if (at === undefined) return around;
        const it = made[at]!;
        if (how === "object") return it;
        return how === "output" ? `${it.output("out")}/${around}` : how === "string" ? `${around}${it}` : it.drvPath;
      },
      nix(count) {
        const at = index(count);
        if (at === undefined) return quoteNix(around);
        if (how === "object") return `d${at}`;
        if (how === "output") return `("\${d${at}.out}/" + ${quoteNix(around)})`;
        return how === "string" ? `(${quoteNix(around)} + "\${d${at}}")` : `d${at}.drvPath`;
      },
    };
  });

const list = <T>(elements: readonly Spelt<T>[]): Spelt<readonly T[]> => ({
  value: (made) => elements.map((element) => element.value(made)),
  nix: (count) => `[ ${elements.map((element) => element.nix(count)).join(" ")} ]`,
});

const { value, json } = fc.letrec<{ value: Spelt<Value>; json: Spelt<JsonValue> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    mention,
    fc.array(tie("value"), { maxLength: 4 }).map((each) => list(each)),
  ),
  json: fc.oneof(
    { maxDepth: 3 },
    scalar,
    mention,
    fc.array(tie("json"), { maxLength: 4 }).map((each) => list(each)),
    fc.dictionary(text, tie("json"), { maxKeys: 4, noNullPrototype: true }).map(
      (members): Spelt<JsonValue> => ({
        value: (made) => Object.fromEntries(Object.entries(members).map(([key, each]) => [key, each.value(made)])),
        nix: (count) => attributes(members, count),
      }),
    ),
  ),
}));

function attributes(members: Readonly<Record<string, Spelt<unknown>>>, count: number): string {
  return `{ ${Object.entries(members)
    .map(([key, each]) => `${quoteNix(key)} = ${each.nix(count)};`)
    .join(" ")} }`;
}

const variable = fc.stringMatching(/^[A-Z_][A-Za-z0-9_.-]{0,6}$/);

export const arbitraryRecipe: fc.Arbitrary<RandomRecipe> = fc
  .record({
    name: fc.stringMatching(/^[a-z0-9+_?=][a-zA-Z0-9+._?=-]{0,12}$/).filter((name) => !name.endsWith(".drv")),
    builder: mention,
    args: fc.array(value, { maxLength: 3 }),
    outputs: fc.option(fc.constantFrom<readonly string[]>(["out"], ["out", "dev"], ["lib", "out", "a.b"])),
    env: fc.dictionary(variable, value, { maxKeys: 5, noNullPrototype: true }),
    structured: fc.option(fc.dictionary(variable, json, { maxKeys: 5, noNullPrototype: true }), { freq: 3 }),
    fixed: fc.option(fc.constantFrom("flat", "recursive"), { freq: 3 }),
  })
  .map(({ name, builder, args, outputs: wanted, env, structured, fixed }): RandomRecipe => {
    const outputs = fixed === null ? wanted : null;
    const hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const valuesOf = <T>(members: Readonly<Record<string, Spelt<T>>>, made: readonly Derivation[]) =>
      Object.fromEntries(Object.entries(members).map(([key, each]) => [key, each.value(made)]));
    return {
      make: ({ derivation }, made) =>
        derivation({
          // Numbered: a string cannot tell two apart that fetch the same under the same name.
          name: `${name}-${made.length}`,
          builder: `/b${builder.value(made)}`,
          args: args.map((each) => each.value(made)),
          ...(outputs === null ? {} : { outputs: outputs }),
          ...(fixed === null ? {} : { outputHash: hash, outputHashMode: fixed }),
          ...(structured === null ? { env: valuesOf(env, made) } : { structuredAttrs: valuesOf(structured, made) }),
        }),
      nix: (count) =>
        `derivation (${attributes(structured ?? env, count)} // {
          name = ${quoteNix(`${name}-${count}`)}; builder = "/b\${${builder.nix(count)}}"; inherit system; args = ${list<unknown>(args).nix(count)};
          ${outputs === null ? "" : `outputs = [ ${outputs.map(quoteNix).join(" ")} ];`}
          ${fixed === null ? "" : `outputHash = "${hash}"; outputHashMode = "${fixed}";`}
          ${structured === null ? "" : "__structuredAttrs = true;"} })`,
    };
  });
