/** silo's own version, and the version of Nix that it says it is where programs ask. */
export const siloVersion = "0.1.0";

/** Scripts and clients compare this one: features up to it are there. */
export const compatibleNixVersion = "2.18.0";
