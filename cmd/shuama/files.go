package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
)

// readJSON reads a settings file strictly: a name that means nothing is a typing error.
func readJSON(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("%s: something follows the settings", path)
	}
	return nil
}

// parseUser reads a user's number as a code can carry it.
func parseUser(text string) (ridecode.UserID, error) {
	if len(text) != 16 || !form.IsPrintable(text) {
		return "", errors.New("USER: not 16 characters of printable ASCII (document 1 §6.3.2)")
	}
	return ridecode.UserID(text), nil
}

// checkName refuses what could not stand in a list, a log or a record.
func checkName(what, name string) error {
	if name == "" || len(name) > 64 || !form.IsPrintable(name) {
		return fmt.Errorf("%s: not 1 to 64 characters of printable ASCII", what)
	}
	return nil
}

// writeJSON replaces a settings file as a whole, or leaves it as it was.
func writeJSON(path string, from any) error {
	content, err := json.MarshalIndent(from, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, append(content, '\n'), 0o644)
}

func replaceFile(path string, content []byte, mode os.FileMode) error {
	fresh, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name())
	_, err = fresh.Write(content)
	err = errors.Join(err, fresh.Chmod(mode), fresh.Sync(), fresh.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(fresh.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// mustExist refuses books that are gone: empty ones in their place would be proven, and wrong.
func mustExist(path, what string) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return fmt.Errorf("%s: missing or empty: %s should be there; is a disk not mounted? restore it from a copy", path, what)
	}
	return nil
}

// makeBooks makes an empty file of books, once.
func makeBooks(path string) error {
	db, err := store.Open(path)
	if err != nil {
		return err
	}
	return db.Close()
}

// syncFolder makes a new name survive a power cut: without it the old file can come back.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func readKeyList(path string) ([]trust.Key, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	keys, err := trust.ParseKeyList(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

func readKeyRing(path string, window int) (*trust.KeyRing, error) {
	keys, err := readKeyList(path)
	if err != nil {
		return nil, err
	}
	return trust.NewKeyRing(keys, window)
}
