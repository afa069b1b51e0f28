#!/bin/sh
# Before `npm start` and `npm test`: does the Node that `npm ci` brought run here? It needs libatomic, which a bare Debian
# lacks. Installs that where it may without asking (as root, or by sudo without a password), else says what to type.
set -u
node=node_modules/.bin/node
# npm 10 drops the link while it drops the packages of other platforms that would link the same name.
for installed in node_modules/node-*/bin/node; do
  [ -x "$installed" ] && [ ! -e "$node" ] && ln -s "../${installed#node_modules/}" "$node"
done
[ -x "$node" ] || exit 0 # no Node for this platform in the packages: the one on PATH has to do
"$node" --version >/dev/null 2>&1 && exit 0

say() { printf 'evenkeel: %s\n' "$*" >&2; }
root=''
[ "$(id -u)" = 0 ] || root='sudo -n'

if "$node" --version 2>&1 | grep -q libatomic; then
  if $root true 2>/dev/null; then
    say 'this machine lacks libatomic, which Node 26 needs: installing it …'
    if command -v apt-get >/dev/null; then
      $root sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends libatomic1' >&2
    elif command -v dnf >/dev/null; then
      $root dnf install -y libatomic >&2
    fi
  fi
  "$node" --version >/dev/null 2>&1 && exit 0
  say 'Node 26 needs libatomic. Install it and try again:  apt-get install libatomic1  |  dnf install libatomic'
  exit 1
fi
say "the Node that npm installed does not run here: $("$node" --version 2>&1 | head -n 1)"
exit 1
