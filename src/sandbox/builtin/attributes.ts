/** The attributes of a derivation as arguments of a built-in builder. */
import { SiloError } from "../../error.ts";

/** Byte strings. */
export type Attributes = ReadonlyMap<string, string>;

/** What ends a built-in builder with a message. */
export class BuiltinFailure extends SiloError {
  readonly code = "builtin-failure";
}

/** @throws BuiltinFailure */
export function requireAttribute(attributes: Attributes, name: string): string {
  const value = attributes.get(name);
  if (value === undefined) throw new BuiltinFailure(`attribute '${name}' missing`);
  return value;
}
