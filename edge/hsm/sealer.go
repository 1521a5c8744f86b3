// Package hsm is 密钥库: private keys at rest in sealed files.
//
// A sealed file is an age file (age-encryption.org/v1, binary) to one recipient: a passphrase
// (scrypt) or a key file (X25519). Key files are for servers that start without a person; keep
// them on another medium than the sealed files, or a copied disk holds both. The age program
// opens the same files, so a key is never lost with this program.
//
// What a sealed file holds is opaque here. It is in the clear only in memory: no file, not even a
// temporary one, ever holds it unsealed.
package hsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"unicode/utf8"

	"filippo.io/age"
)

const (
	// MaxPlaintextSize bounds what is sealed, in bytes.
	MaxPlaintextSize = 64 << 10
	// MinPassphraseChars is the least that a new passphrase may have. A sealed file can be tried
	// offline for ever.
	MinPassphraseChars = 8

	// scryptLogN costs about one second and 256 MiB for each try.
	scryptLogN = 18
	// scryptMaxLogN stops a file made by a stranger from taking minutes and gigabytes.
	scryptMaxLogN = 20

	maxKeyFileSize = 4 << 10
	maxSealedSize  = MaxPlaintextSize + 4<<10 // header, nonce and tag are below 1 KiB
	sealedMagic    = "age-encryption.org/v1\n"
	armorMagic     = "-----BEGIN AGE ENCRYPTED FILE-----"
)

var (
	// ErrNotSealed says that a file is not an age file. Most often a key lies there in the clear.
	ErrNotSealed = errors.New("hsm: this key is in the clear: seal it with WriteSealed or the age program, " +
		"destroy the clear file, and make a new key if others could read it")
	// ErrWrongPassphrase says that the passphrase does not open the file.
	ErrWrongPassphrase = errors.New("hsm: wrong passphrase: type it again, mind the keyboard layout; " +
		"without it the key cannot be had back and a new one must be made")
	// ErrWrongKeyFile says that the file was sealed to another key file.
	ErrWrongKeyFile = errors.New("hsm: sealed to another key file: give the one it was sealed with")
	// ErrWrongMethod says that the file wants a passphrase and got a key file, or the reverse.
	ErrWrongMethod = errors.New("hsm: sealed by the other method")
	// ErrDamaged says that the secret fits but the file was cut short or changed.
	ErrDamaged = errors.New("hsm: the sealed file is cut short or changed: restore it from a copy")
	// ErrTooLarge answers more than MaxPlaintextSize.
	ErrTooLarge = errors.New("hsm: too large for a key")
	// ErrExposed says that other users may read or change a file of secrets.
	ErrExposed = errors.New("hsm: other users may read or change this file")
)

// Sealer makes and opens sealed files with one secret. It may be used at the same time.
type Sealer interface {
	// Seal writes the plaintext, 1..MaxPlaintextSize bytes, as a sealed file. After an error what
	// was written is not a sealed file.
	Seal(w io.Writer, plaintext []byte) error
	// Open returns the plaintext of a sealed file, or nothing: the file is checked to its end
	// first. Errors: ErrNotSealed, ErrWrongPassphrase, ErrWrongKeyFile, ErrWrongMethod,
	// ErrDamaged, ErrTooLarge, errors of the reader.
	Open(r io.Reader) ([]byte, error)
}

// sealer is a pair of age keys with the words for when they do not fit.
type sealer struct {
	recipient   age.Recipient
	identity    age.Identity
	wrongSecret error
	wrongMethod error
}

// PassphraseSealer seals with a passphrase of at least MinPassphraseChars characters. Each Seal
// and Open takes about one second: that is the price of a guess.
func PassphraseSealer(passphrase string) (Sealer, error) {
	if !utf8.ValidString(passphrase) {
		return nil, errors.New("hsm: passphrase is not UTF-8 text")
	}
	if n := utf8.RuneCountInString(passphrase); n < MinPassphraseChars {
		return nil, fmt.Errorf("hsm: passphrase has %d characters, want at least %d", n, MinPassphraseChars)
	}
	return passphraseSealer(passphrase, scryptLogN)
}

func passphraseSealer(passphrase string, logN int) (Sealer, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("hsm: passphrase: %w", err)
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("hsm: passphrase: %w", err)
	}
	recipient.SetWorkFactor(logN)
	identity.SetMaxWorkFactor(scryptMaxLogN)
	return &sealer{recipient, identity, ErrWrongPassphrase,
		fmt.Errorf("%w: it wants a key file, not a passphrase", ErrWrongMethod)}, nil
}

// KeyFileSealer seals with the X25519 key in an age identity file, as NewKeyFile or age-keygen
// makes them. Errors: ErrExposed, or what is wrong with the file. Nothing of its content is told.
func KeyFileSealer(path string) (Sealer, error) {
	content, err := readPrivate(path, maxKeyFileSize)
	if err != nil {
		return nil, err
	}
	identities, err := age.ParseIdentities(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("hsm: %s: not a key file: make one with NewKeyFile or age-keygen", path)
	}
	identity, ok := identities[0].(*age.X25519Identity)
	if len(identities) != 1 || !ok {
		return nil, fmt.Errorf("hsm: %s: want exactly one X25519 key in a key file", path)
	}
	return &sealer{identity.Recipient(), identity, ErrWrongKeyFile,
		fmt.Errorf("%w: it wants a passphrase, not a key file", ErrWrongMethod)}, nil
}

// NewKeyFile makes a key file, mode 0600. It never overwrites one: everything sealed to the old
// key would be lost.
func NewKeyFile(path string) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("hsm: new key: %w", err)
	}
	content := fmt.Sprintf("# public key: %s\n%s\n", identity.Recipient(), identity)
	return writeNew(path, []byte(content))
}

func (s *sealer) Seal(w io.Writer, plaintext []byte) error {
	if len(plaintext) == 0 {
		return errors.New("hsm: nothing to seal")
	}
	if len(plaintext) > MaxPlaintextSize {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(plaintext), MaxPlaintextSize)
	}
	sealed, err := age.Encrypt(w, s.recipient)
	if err != nil {
		return fmt.Errorf("hsm: seal: %w", err)
	}
	if _, err := sealed.Write(plaintext); err != nil {
		return fmt.Errorf("hsm: seal: %w", err)
	}
	if err := sealed.Close(); err != nil {
		return fmt.Errorf("hsm: seal: %w", err)
	}
	return nil
}

func (s *sealer) Open(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxSealedSize+1))
	if err != nil {
		return nil, fmt.Errorf("hsm: open: %w", err)
	}
	if err := checkSealed(content); err != nil {
		return nil, err
	}
	stream, err := age.Decrypt(bytes.NewReader(content), s.identity)
	if err != nil {
		return nil, s.explain(err)
	}
	plaintext, err := io.ReadAll(stream)
	if err != nil {
		return nil, ErrDamaged
	}
	return plaintext, nil
}

func checkSealed(content []byte) error {
	switch {
	case len(content) > maxSealedSize:
		return fmt.Errorf("%w: the file has more than %d bytes", ErrTooLarge, maxSealedSize)
	case bytes.HasPrefix(content, []byte(armorMagic)):
		return fmt.Errorf("%w (it is an age file in text form: seal it again without -a)", ErrDamaged)
	case len(content) < len(sealedMagic) && bytes.HasPrefix([]byte(sealedMagic), content):
		return ErrDamaged // empty, or cut inside the first line
	case !bytes.HasPrefix(content, []byte(sealedMagic)):
		return ErrNotSealed
	}
	return nil
}

// explain turns the errors of age into what to do. Their own words can quote the file.
func (s *sealer) explain(err error) error {
	var noMatch *age.NoIdentityMatchError
	switch {
	case !errors.As(err, &noMatch):
		return ErrDamaged
	case slices.Contains(noMatch.StanzaTypes, s.stanzaType()):
		return s.wrongSecret
	}
	return s.wrongMethod
}

// stanzaType is the name of the method in the header of an age file.
func (s *sealer) stanzaType() string {
	if _, ok := s.identity.(*age.ScryptIdentity); ok {
		return "scrypt"
	}
	return "X25519"
}

// readPrivate reads a file of secrets that no other user may read or change. It asks the open
// file, not its name: between two looks at a name the file can be another.
func readPrivate(path string, maxSize int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("hsm: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("hsm: %w", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("hsm: %w", err)
	}
	if int64(len(content)) > maxSize {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrTooLarge, path, maxSize)
	}
	return content, nil
}

func checkPrivate(path string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("hsm: %s: not a regular file", path)
	}
	mode := info.Mode().Perm()
	if mode&0o077 != 0 && runtime.GOOS != "windows" { // which has no such bits and shows 0666
		return fmt.Errorf("%w: %s has mode %04o: chmod 600 it, and make a new key if others could read it", ErrExposed, path, mode)
	}
	return nil
}
