#!/bin/sh
# Makes the test certificates anew, in this directory. Needs OpenSSL 3.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$work/index"
cat > "$work/config" <<CONFIG
[ca]
default_ca = test
[test]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
organizationName = optional
commonName = supplied
[req]
distinguished_name = none
[none]
CONFIG

# name, subject, the authority's name (its own: self-signed), extensions
make() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"
  openssl req -config "$work/config" -new -key "$work/$1.key" -subj "$2" -out "$work/$1.csr"
  printf '%b' "$4" > "$work/$1.extensions"
  signer="-cert $3.pem -keyfile $work/$3.key"
  [ "$1" = "$3" ] && signer="-selfsign -keyfile $work/$1.key"
  openssl ca -batch -notext -config "$work/config" $signer -in "$work/$1.csr" -out "$1.pem" \
    -startdate 20200101000000Z -enddate 21200101000000Z -extfile "$work/$1.extensions" -preserveDN
  cp "$work/$1.key" "$1.key"
}

authority='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n'
server='basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName='
client='basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\nsubjectAltName='
make ca '/O=Evenkeel tests/CN=Test CA' ca "$authority"
make other-ca '/O=Evenkeel tests/CN=Other CA' other-ca "$authority"
make a '/CN=a.example' ca "${server}DNS:a.example,DNS:localhost,IP:127.0.0.1\n"
make a-renewed '/CN=a.example' ca "${server}DNS:a.example,DNS:localhost,IP:127.0.0.1\n"
make b '/CN=b.example' ca "${server}DNS:b.example,DNS:*.b.example\n"
make client '/O=Example, Inc./CN=alice' ca "${client}URI:spiffe://example/alice\n"
make stranger '/CN=mallory' other-ca "${client}URI:spiffe://example/mallory\n"
rm ca.key other-ca.key
chmod 644 ./*.key
