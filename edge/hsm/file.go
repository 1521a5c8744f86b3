package hsm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// WriteSealed seals the plaintext into a new file, mode 0600. When it returns the file and its
// name are on disk; after an error or a power cut there is no sealed file, or the whole one. It
// refuses a path that exists (os.ErrExist): a key that is overwritten is lost. With a passphrase
// it takes about two seconds, since it opens what it sealed before it writes.
func WriteSealed(path string, s Sealer, plaintext []byte) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("hsm: %s: %w: nothing was written", path, os.ErrExist) // before the slow part
	}
	content, err := seal(s, plaintext)
	if err != nil {
		return err
	}
	return writeNew(path, content)
}

// ReplaceSealed is WriteSealed for a path that may exist: the old file stays whole until the new
// one is on disk. Use it to change a passphrase, after ReadSealed with the old one.
func ReplaceSealed(path string, s Sealer, plaintext []byte) error {
	content, err := seal(s, plaintext)
	if err != nil {
		return err
	}
	temp, err := writeTemp(path, content)
	if err != nil {
		return err
	}
	return rename(temp, path)
}

// ReadSealed returns what a sealed file holds. Errors, each saying what to do: ErrNotSealed for a
// key in the clear, ErrExposed for a file that others may read, ErrTooLarge, those of
// Sealer.Open, and those of the file system.
func ReadSealed(path string, s Sealer) ([]byte, error) {
	content, err := readPrivate(path, maxSealedSize)
	if err != nil {
		return nil, err
	}
	plaintext, err := s.Open(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return plaintext, nil
}

// seal works in memory and opens its own result: a key must not be replaced by a file that cannot
// be read back.
func seal(s Sealer, plaintext []byte) ([]byte, error) {
	var content bytes.Buffer
	if err := s.Seal(&content, plaintext); err != nil {
		return nil, err
	}
	if err := checkSealed(content.Bytes()); err != nil {
		return nil, fmt.Errorf("hsm: the sealer did not seal: %w", err)
	}
	again, err := s.Open(bytes.NewReader(content.Bytes()))
	if err != nil || !bytes.Equal(again, plaintext) {
		return nil, errors.Join(errors.New("hsm: what was sealed does not open again: nothing was written"), err)
	}
	return content.Bytes(), nil
}

// writeNew puts content at a path that must not exist. The empty file that reserves the name makes
// two writers safe from each other on every file system; it is there for a moment only.
func writeNew(path string, content []byte) error {
	temp, err := writeTemp(path, content)
	if err != nil {
		return err
	}
	reserved, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(fmt.Errorf("hsm: %w", err), os.Remove(temp))
	}
	if err := reserved.Close(); err != nil {
		return errors.Join(fmt.Errorf("hsm: %w", err), os.Remove(temp), os.Remove(path))
	}
	if err := rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// writeTemp writes and syncs a file beside path, mode 0600. After an error it is gone.
func writeTemp(path string, content []byte) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".sealing-*")
	if err != nil {
		return "", fmt.Errorf("hsm: %w", err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("hsm: %w", err), os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// rename moves temp to path and makes the name durable.
func rename(temp, path string) error {
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(fmt.Errorf("hsm: %w", err), os.Remove(temp))
	}
	if runtime.GOOS == "windows" {
		return nil // cannot sync a folder
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("hsm: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("hsm: sync the folder of %s: %w", path, err)
	}
	return nil
}
