package hsm

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"
)

const passphrase = "correct horse battery staple"

// secret is what must never be seen on disk.
func secret() []byte { return []byte("-----BEGIN PRIVATE KEY-----\nd0 not leak me\n") }

func keySealer(t testing.TB) Sealer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := NewKeyFile(path); err != nil {
		t.Fatal(err)
	}
	s, err := KeyFileSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cheapPassphrase is a PassphraseSealer whose guesses cost a millisecond.
func cheapPassphrase(t testing.TB, passphrase string) Sealer {
	t.Helper()
	s, err := passphraseSealer(passphrase, 8)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cheapSealers are one of each method.
func cheapSealers(t testing.TB) map[string]Sealer {
	return map[string]Sealer{"passphrase": cheapPassphrase(t, passphrase), "key file": keySealer(t)}
}

func TestWriteThenRead(t *testing.T) {
	full, err := PassphraseSealer(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	sealers := cheapSealers(t)
	sealers["passphrase at full cost"] = full
	for name, s := range sealers {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "issuer.key")
			if err := WriteSealed(path, s, secret()); err != nil {
				t.Fatal(err)
			}
			got, err := ReadSealed(path, s)
			if err != nil || !bytes.Equal(got, secret()) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("mode %v, %v", info.Mode(), err)
			}
			checkFolder(t, filepath.Dir(path), "issuer.key")
		})
	}
}

// checkFolder wants exactly these files, and the secret in none of them.
func checkFolder(t *testing.T, folder string, want ...string) {
	t.Helper()
	var names []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		names = append(names, entry.Name())
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("leak me")) || bytes.Contains(content, []byte("PRIVATE")) {
			t.Errorf("%s holds the secret in the clear", entry.Name())
		}
		return err
	})
	if err != nil || strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %v, want %v (%v)", names, want, err)
	}
}

func TestRoundTrip(t *testing.T) {
	s := keySealer(t)
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(t, "plaintext")
		var sealed bytes.Buffer
		if err := s.Seal(&sealed, plaintext); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Open(&sealed); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("%d bytes: %v", len(plaintext), err)
		}
	})
}

func TestSizes(t *testing.T) {
	s := keySealer(t)
	path := filepath.Join(t.TempDir(), "key")
	if err := WriteSealed(path, s, nil); err == nil {
		t.Error("nothing was sealed")
	}
	if err := WriteSealed(path, s, make([]byte, MaxPlaintextSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	checkFolder(t, filepath.Dir(path))
	largest := make([]byte, MaxPlaintextSize)
	if err := WriteSealed(path, s, largest); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSealed(path, s); err != nil || !bytes.Equal(got, largest) {
		t.Errorf("largest: %v", err)
	}
	mustWrite(t, path, append([]byte(sealedMagic), make([]byte, maxSealedSize)...), 0o600)
	if _, err := ReadSealed(path, s); !errors.Is(err, ErrTooLarge) {
		t.Errorf("file too large: %v", err)
	}
	if _, err := s.Open(io.LimitReader(endless{}, 1<<40)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("endless file: %v", err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestWrongSecret(t *testing.T) {
	for name, c := range map[string]struct {
		seal, open Sealer
		want       error
	}{
		"other passphrase":          {cheapPassphrase(t, passphrase), cheapPassphrase(t, "incorrect horse"), ErrWrongPassphrase},
		"passphrase in other case":  {cheapPassphrase(t, passphrase), cheapPassphrase(t, strings.ToUpper(passphrase)), ErrWrongPassphrase},
		"other key file":            {keySealer(t), keySealer(t), ErrWrongKeyFile},
		"key file for a passphrase": {cheapPassphrase(t, passphrase), keySealer(t), ErrWrongMethod},
		"passphrase for a key file": {keySealer(t), cheapPassphrase(t, passphrase), ErrWrongMethod},
	} {
		path := filepath.Join(t.TempDir(), "k")
		if err := WriteSealed(path, c.seal, secret()); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSealed(path, c.open)
		if !errors.Is(err, c.want) || got != nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if strings.Contains(err.Error(), passphrase) || strings.Contains(err.Error(), "leak me") {
			t.Errorf("%s: the error tells secrets: %v", name, err)
		}
	}
}

func TestEveryBitFlipped(t *testing.T) {
	for name, s := range cheapSealers(t) {
		var sealed bytes.Buffer
		if err := s.Seal(&sealed, []byte("k")); err != nil {
			t.Fatal(err)
		}
		for bit := range sealed.Len() * 8 {
			flipped := bytes.Clone(sealed.Bytes())
			flipped[bit/8] ^= 1 << (bit % 8)
			if got, err := s.Open(bytes.NewReader(flipped)); err == nil || got != nil {
				t.Fatalf("%s: opened with bit %d of byte %d flipped", name, bit%8, bit/8)
			}
		}
	}
}

func TestCutAnywhere(t *testing.T) {
	for name, s := range cheapSealers(t) {
		var sealed bytes.Buffer
		if err := s.Seal(&sealed, secret()); err != nil {
			t.Fatal(err)
		}
		for size := range sealed.Len() {
			if got, err := s.Open(bytes.NewReader(sealed.Bytes()[:size])); !errors.Is(err, ErrDamaged) || got != nil {
				t.Fatalf("%s cut to %d of %d bytes: %d bytes, %v", name, size, sealed.Len(), len(got), err)
			}
		}
		if _, err := s.Open(bytes.NewReader(append(sealed.Bytes(), 0))); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s with a byte more: %v", name, err)
		}
	}
}

// TestWorkFactorBomb: a file that asks for 2^30 rounds must be refused before the work.
func TestWorkFactorBomb(t *testing.T) {
	s := cheapPassphrase(t, passphrase)
	var sealed bytes.Buffer
	if err := s.Seal(&sealed, secret()); err != nil {
		t.Fatal(err)
	}
	bomb := bytes.Replace(sealed.Bytes(), []byte(" 8\n"), []byte(" 30\n"), 1)
	if bytes.Equal(bomb, sealed.Bytes()) {
		t.Fatal("no work factor in the header")
	}
	if _, err := s.Open(bytes.NewReader(bomb)); err == nil {
		t.Fatal("opened")
	}
}

func TestClearKeyIsRefused(t *testing.T) {
	s := keySealer(t)
	for _, content := range []string{string(secret()), "d9b2c3\n", "{}", "age-encryption.org/v2\n rest", "a", " age-encryption.org/v1\n"} {
		path := filepath.Join(t.TempDir(), "k")
		mustWrite(t, path, []byte(content), 0o600)
		got, err := ReadSealed(path, s)
		if content == "a" { // can be the first byte of a sealed file
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("one byte: %v", err)
			}
			continue
		}
		if !errors.Is(err, ErrNotSealed) || got != nil || !strings.Contains(err.Error(), "seal it with") || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", content, err)
		}
		if strings.Contains(err.Error(), "leak me") {
			t.Errorf("the error tells the key: %v", err)
		}
	}
}

func TestTextFormIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	mustWrite(t, path, []byte(armorMagic+"\nYWdl\n"), 0o600)
	if _, err := ReadSealed(path, keySealer(t)); err == nil || !strings.Contains(err.Error(), "without -a") {
		t.Fatal(err)
	}
}

func TestNoOverwrite(t *testing.T) {
	s := keySealer(t)
	path := filepath.Join(t.TempDir(), "k")
	if err := WriteSealed(path, s, secret()); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	if err := WriteSealed(path, s, []byte("other")); !errors.Is(err, os.ErrExist) {
		t.Fatalf("overwritten: %v", err)
	}
	if err := NewKeyFile(path); !errors.Is(err, os.ErrExist) {
		t.Fatalf("overwritten by a key file: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Fatal("the file has changed")
	}
	checkFolder(t, filepath.Dir(path), "k")
}

func TestReplace(t *testing.T) {
	old, fresh := cheapPassphrase(t, passphrase), cheapPassphrase(t, "a new passphrase")
	path := filepath.Join(t.TempDir(), "k")
	for _, s := range []Sealer{old, fresh} {
		if err := ReplaceSealed(path, s, secret()); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSealed(path, s); err != nil || !bytes.Equal(got, secret()) {
			t.Fatal(err)
		}
	}
	if _, err := ReadSealed(path, old); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("the old passphrase: %v", err)
	}
	checkFolder(t, filepath.Dir(path), "k")
}

// TestOneWriterWins: many writers of one new path, one file, one success, and it is whole.
func TestOneWriterWins(t *testing.T) {
	s := keySealer(t)
	path := filepath.Join(t.TempDir(), "k")
	var writers sync.WaitGroup
	won := make(chan byte, 20)
	for i := range byte(20) {
		writers.Go(func() {
			err := WriteSealed(path, s, []byte{i})
			if err == nil {
				won <- i
			} else if !errors.Is(err, os.ErrExist) {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	close(won)
	winner, ok := <-won
	if _, second := <-won; !ok || second {
		t.Fatal("not exactly one writer won")
	}
	if got, err := ReadSealed(path, s); err != nil || !bytes.Equal(got, []byte{winner}) {
		t.Fatalf("%v, %v", got, err)
	}
	checkFolder(t, filepath.Dir(path), "k")
}

// badSealer breaks in the ways that a key store must survive.
type badSealer struct {
	Sealer
	seal func(w io.Writer, plaintext []byte) error
}

func (b badSealer) Seal(w io.Writer, plaintext []byte) error { return b.seal(w, plaintext) }

func TestBrokenSealerLeavesTheOldKey(t *testing.T) {
	s := keySealer(t)
	path := filepath.Join(t.TempDir(), "k")
	if err := WriteSealed(path, s, []byte("old")); err != nil {
		t.Fatal(err)
	}
	for name, seal := range map[string]func(io.Writer, []byte) error{
		"writes clear text": func(w io.Writer, p []byte) error { _, err := w.Write(p); return err },
		"fails half-way":    func(w io.Writer, p []byte) error { w.Write(p[:4]); return errors.New("broken") },
		"seals to others":   keySealer(t).Seal,
		"seals other bytes": func(w io.Writer, _ []byte) error { return s.Seal(w, []byte("other")) },
	} {
		if err := ReplaceSealed(path, badSealer{s, seal}, secret()); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got, err := ReadSealed(path, s); err != nil || string(got) != "old" {
			t.Errorf("%s: the old key is gone: %v", name, err)
		}
	}
	checkFolder(t, filepath.Dir(path), "k")
}

func TestMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "k")
	if err := WriteSealed(path, keySealer(t), secret()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := ReadSealed(path, keySealer(t)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := ReadSealed(t.TempDir(), keySealer(t)); err == nil {
		t.Error("a folder was read")
	}
}

func TestExposedFiles(t *testing.T) {
	folder := t.TempDir()
	keyPath, sealedPath := filepath.Join(folder, "key"), filepath.Join(folder, "sealed")
	if err := NewKeyFile(keyPath); err != nil {
		t.Fatal(err)
	}
	s, err := KeyFileSealer(keyPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteSealed(sealedPath, s, secret()); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777} {
		mustChmod(t, keyPath, mode)
		mustChmod(t, sealedPath, mode)
		if _, err := KeyFileSealer(keyPath); !errors.Is(err, ErrExposed) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("key file %o: %v", mode, err)
		}
		if _, err := ReadSealed(sealedPath, s); !errors.Is(err, ErrExposed) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("sealed file %o: %v", mode, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		mustChmod(t, keyPath, mode)
		mustChmod(t, sealedPath, mode)
		if _, err := KeyFileSealer(keyPath); err != nil {
			t.Errorf("key file %o: %v", mode, err)
		}
		if _, err := ReadSealed(sealedPath, s); err != nil {
			t.Errorf("sealed file %o: %v", mode, err)
		}
	}
}

func TestBadKeyFiles(t *testing.T) {
	one, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty":         "",
		"comment only":  "# nothing\n",
		"recipient":     one.Recipient().String(),
		"cut":           one.String()[:40],
		"two keys":      one.String() + "\n" + one.String() + "\n",
		"other kind":    other.String(),
		"too long":      strings.Repeat("# padding\n", 1000) + one.String(),
		"flipped digit": strings.Replace(one.String(), "1", "2", 1),
	} {
		path := filepath.Join(t.TempDir(), "key")
		mustWrite(t, path, []byte(content), 0o600)
		if _, err := KeyFileSealer(path); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShortPassphrases(t *testing.T) {
	for _, short := range []string{"", "1234567", "刷码刷码刷码刷", "12345678\xff"} {
		if _, err := PassphraseSealer(short); err == nil || short != "" && strings.Contains(err.Error(), short) {
			t.Errorf("%q: %v", short, err)
		}
	}
	if _, err := PassphraseSealer("刷码刷码刷码刷码"); err != nil {
		t.Error(err)
	}
}

// TestAgeProgramOpens is the way out if this program is lost: age itself, and files it made.
func TestAgeProgramOpens(t *testing.T) {
	program, err := exec.LookPath("age")
	if err != nil {
		t.Fatal("age is missing: apt-get install age")
	}
	folder := t.TempDir()
	key, sealed, made := filepath.Join(folder, "key"), filepath.Join(folder, "sealed"), filepath.Join(folder, "made")
	if err := NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
	s, err := KeyFileSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	plaintext := make([]byte, 1000)
	rand.Read(plaintext)
	if err := WriteSealed(sealed, s, plaintext); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command(program, "-d", "-i", key, sealed).Output()
	if err != nil || !bytes.Equal(got, plaintext) {
		t.Fatalf("age -d: %v", err)
	}
	encrypt := exec.Command(program, "-e", "-i", key, "-o", made)
	encrypt.Stdin = bytes.NewReader(plaintext)
	if out, err := encrypt.CombinedOutput(); err != nil {
		t.Fatalf("age -e: %v: %s", err, out)
	}
	mustChmod(t, made, 0o600)
	if got, err := ReadSealed(made, s); err != nil || !bytes.Equal(got, plaintext) {
		t.Fatalf("a file of the age program: %v", err)
	}
}

// FuzzOpen: no file may open that was not sealed here, and none may panic.
func FuzzOpen(f *testing.F) {
	key, pass := keySealer(f), cheapPassphrase(f, passphrase)
	for _, s := range []Sealer{key, pass} {
		var sealed bytes.Buffer
		if err := s.Seal(&sealed, secret()); err != nil {
			f.Fatal(err)
		}
		f.Add(sealed.Bytes()[:sealed.Len()-1])
	}
	f.Add([]byte(sealedMagic))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, s := range []Sealer{key, pass} {
			if bytes.Contains(content, []byte("scrypt")) && s == pass {
				continue // costs what the file asks for
			}
			if plaintext, err := s.Open(bytes.NewReader(content)); err == nil || plaintext != nil {
				t.Fatalf("opened: %q", plaintext)
			}
		}
	})
}

func mustWrite(t testing.TB, path string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}

func mustChmod(t testing.TB, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
