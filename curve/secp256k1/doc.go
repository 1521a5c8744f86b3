// Package secp256k1 (ECDSA256) signs and verifies for the institutions of the ride code.
package secp256k1

//go:generate go run ../internal/gen -curve secp256k1 -out .
