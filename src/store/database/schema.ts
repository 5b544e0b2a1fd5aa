/**
 * Schema 10 of the Nix database, which Nix has used since 2.0. Tables, columns and constraints are Nix's, so that either
 * can open what the other wrote. See the Nix manual, "Nix database".
 */

export const schemaVersion = 10;

/**
 * `ValidPaths`: `path` is the full path; `hash` is `sha256:` and 64 hexadecimal digits of the NAR; `registrationTime` in
 * seconds since the epoch; `narSize` in bytes, null or 0 when unknown; `ultimate` is 1 when built here, else null;
 * `sigs` are joined by a space; `ca` is the content address. `Refs` holds self-references too. `DerivationOutputs` has a
 * row for each output of a valid derivation, whether the output is valid or not.
 */
export const schemaSql = `
create table if not exists ValidPaths (
  id integer primary key autoincrement not null,
  path text unique not null,
  hash text not null,
  registrationTime integer not null,
  deriver text,
  narSize integer,
  ultimate integer,
  sigs text,
  ca text
);
create table if not exists Refs (
  referrer integer not null,
  reference integer not null,
  primary key (referrer, reference),
  foreign key (referrer) references ValidPaths(id) on delete cascade,
  foreign key (reference) references ValidPaths(id) on delete restrict
);
create index if not exists IndexReferrer on Refs(referrer);
create index if not exists IndexReference on Refs(reference);
create trigger if not exists DeleteSelfRefs before delete on ValidPaths
begin
  delete from Refs where referrer = old.id and reference = old.id;
end;
create table if not exists DerivationOutputs (
  drv integer not null,
  id text not null,
  path text not null,
  primary key (drv, id),
  foreign key (drv) references ValidPaths(id) on delete cascade
);
create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
`;

/** Cached build failures: a table of Nix 1.x that 2.x dropped and leaves alone. Made by the first failure. */
export const failedPathsSql = `
create table if not exists FailedPaths (
  path text primary key not null,
  time integer not null
);
`;
