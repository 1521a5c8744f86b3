// Package secp192k1 (ECDSA192) signs and verifies for the users of the ride code.
package secp192k1

//go:generate go run ../internal/gen -curve secp192k1 -out .
