/** Looks at the options of a recipe function before they are used: recipes are not type-checked when they run. */
import { nearestName } from "./nearest-name.ts";
import { RecipeError } from "./recipe-error.ts";

/** What an option may be; `value` is checked by whoever uses it. */
export type OptionKind = "string" | "boolean" | "strings" | "function" | "record" | "list" | "value";

export type OptionTable = Readonly<Record<string, OptionKind>>;

const expected: Readonly<Record<OptionKind, string>> = {
  string: "a string",
  boolean: "true or false",
  strings: "a list of strings",
  function: "a function",
  record: "an object such as { NAME: value }",
  list: "a list",
  value: "a value",
};

/** @param what names the call in complaints, such as `derivation`. @throws RecipeError */
export function checkOptions(
  what: string,
  options: unknown,
  table: OptionTable,
  required: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    const example = required.map((name) => `${name}: …`).join(", ");
    throw new RecipeError(`${what}: expected an object of options, such as { ${example} }, not ${describe(options)}`);
  }
  const given = options as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(given)) {
    const kind = Object.hasOwn(table, name) ? table[name] : undefined;
    if (kind === undefined) throw unknownOption(what, name, table);
    if (value === undefined)
      throw new RecipeError(`${what}: '${name}' is undefined; leave it out, or give ${expected[kind]}`);
    if (!isOfKind(value, kind))
      throw new RecipeError(`${what}: '${name}' must be ${expected[kind]}, not ${describe(value)}`);
  }
  for (const name of required) {
    if (given[name] === undefined) throw new RecipeError(`${what}: '${name}' is missing`);
  }
  return given;
}

function unknownOption(what: string, name: string, table: OptionTable): RecipeError {
  const near = nearestName(name, Object.keys(table));
  const hint = near === "" && "env" in table ? "; variables of the environment go into 'env'" : near;
  return new RecipeError(`${what}: there is no option '${name}'${hint}`);
}

function isOfKind(value: unknown, kind: OptionKind): boolean {
  switch (kind) {
    case "string":
    case "boolean":
    case "function":
      return typeof value === kind;
    case "strings":
      return Array.isArray(value) && value.every((element) => typeof element === "string");
    case "list":
      return Array.isArray(value);
    case "record":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "value":
      return true;
  }
}

/** A value, for people. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
