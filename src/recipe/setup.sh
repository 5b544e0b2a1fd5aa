# The standard environment of silo's recipes: runs in a POSIX shell, told by variables what to do. Each phase is a script of the
# recipe's own, in the variable named after it, or the default below. With arguments, it runs these as a command in the environment of
# a build: `silo shell` does that, in the user's own surroundings.
set -eu

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1} ZERO_AR_DATE=1
if [ $# -eq 0 ]; then
  export HOME=/homeless-shelter TZ=UTC LC_ALL=C
  unset OLDPWD
  umask 022
  PATH=
fi

# Directories of what the recipe names come before those of the machine.
dirs=
for dir in $tools $libraries; do
  if [ -d "$dir/bin" ]; then dirs=$dirs${dirs:+:}$dir/bin; fi
done
for dir in $hostPath; do dirs=$dirs${dirs:+:}$dir; done
export PATH="$dirs${PATH:+:$PATH}"

joinPath() { # VARIABLE DIRECTORY: puts the directory behind what the variable has
  eval "$1=\${$1:+\$$1:}\$2; export $1"
}
for dir in $libraries; do
  if [ -d "$dir/include" ]; then joinPath CPATH "$dir/include"; fi
  if [ -d "$dir/lib" ]; then
    joinPath LIBRARY_PATH "$dir/lib"
    LDFLAGS="${LDFLAGS:+$LDFLAGS }-L$dir/lib -Wl,-rpath,$dir/lib"; export LDFLAGS
  fi
  for pc in lib share; do
    if [ -d "$dir/$pc/pkgconfig" ]; then joinPath PKG_CONFIG_PATH "$dir/$pc/pkgconfig"; fi
  done
done

if [ $# -gt 0 ]; then
  unset dirs dir pc
  set +eu
  exec "$@"
fi

unpackDefault() {
  [ -n "${src:-}" ] || return 0
  mkdir source
  if [ -d "$src" ]; then
    cp -R "$src/." source
  else
    cd source
    tar -xf "$src"
    cd ..
    # Most archives hold one directory: that is the source.
    set -- source/*
    if [ $# -eq 1 ] && [ -d "$1" ]; then mv "$1" inner; rm -rf source; mv inner source; fi
  fi
  chmod -R u+w source
  # No file may be newer than the one made from it, or make would start to make the source.
  find source -exec touch -h -d @"$SOURCE_DATE_EPOCH" {} + 2>/dev/null || true
  cd source
}

patchDefault() {
  for patch in ${patches:-}; do
    echo "applying $patch" >&2
    patch -p1 <"$patch"
  done
}

configureDefault() {
  [ -x ./configure ] || return 0
  set -- "--prefix=$out"
  if [ -n "${dev:-}" ]; then set -- "$@" "--includedir=$dev/include"; fi
  if [ -n "${man:-}" ]; then set -- "$@" "--mandir=$man/share/man"; fi
  # Flags are words, as they are for make.
  # shellcheck disable=SC2086
  ./configure "$@" ${configureFlags:-}
}

hasMakefile() { [ -e Makefile ] || [ -e makefile ] || [ -e GNUmakefile ]; }

buildDefault() {
  hasMakefile || return 0
  # shellcheck disable=SC2086
  make -j"${NIX_BUILD_CORES:-1}" "SHELL=$shell" ${makeFlags:-}
}

checkDefault() {
  hasMakefile || return 0
  # shellcheck disable=SC2086
  make "SHELL=$shell" ${makeFlags:-} check
}

installDefault() {
  hasMakefile || return 0
  # shellcheck disable=SC2086
  make "SHELL=$shell" "prefix=$out" ${makeFlags:-} ${installFlags:-install}
}

moveTo() { # OUTPUT DIRECTORY...: moves what is there below $out to the same place below another output
  destination=$1; shift
  for dir in "$@"; do
    if [ -e "$out/$dir" ] && [ ! -e "$destination/$dir" ]; then
      mkdir -p "$destination/${dir%/*}"
      rmdir "$destination/$dir" 2>/dev/null || true
      mv "$out/$dir" "$destination/$dir"
    fi
  done
}

fixupDefault() {
  if [ -n "${dev:-}" ]; then moveTo "$dev" share/aclocal share/pkgconfig lib/pkgconfig lib/cmake include; fi
  if [ -n "${man:-}" ]; then moveTo "$man" share/man; fi
  if [ -n "${doc:-}" ]; then moveTo "$doc" share/doc share/info; fi
}

phase() { # NAME VARIABLE FUNCTION
  echo "@nix { \"action\": \"setPhase\", \"phase\": \"$1\" }" >&2
  eval "script=\${$2:-}"
  if [ -n "$script" ]; then eval "$script"; else "$3"; fi
}

if [ -n "${buildCommand:-}" ]; then
  eval "$buildCommand"
else
  phase unpack unpackPhase unpackDefault
  phase patch patchPhase patchDefault
  phase configure configurePhase configureDefault
  phase build buildPhase buildDefault
  if [ -n "${doCheck:-}" ]; then phase check checkPhase checkDefault; fi
  phase install installPhase installDefault
  phase fixup fixupPhase fixupDefault
fi
