package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/shuama/shuama/protocol/gtfs"
	"github.com/shuama/shuama/role/merchant/fare"
)

// faresFolder holds the fare tables of a merchant.
const faresFolder = "fares"

// sampleFares is where a new merchant starts: one bus line and a small metro. docs/fares.md tells what else
// can stand there.
func sampleFares() fare.Files {
	return fare.Files{
		"lines.csv":    []byte("line,group,fare\n19,bus,2.00\nmetro2,metro,matrix\n"),
		"matrix.csv":   []byte("from,人民广场,松江大学城\n人民广场,3.00,6.00\n松江大学城,6.00,3.00\n"),
		"defaults.csv": []byte("group,missing,fare\nmetro,exit,most\nmetro,entry,most\n"),
	}
}

func makeSampleFares(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range sampleFares() {
		if err := replaceFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readTariff reads fare tables: a folder as docs/fares.md tells, or a GTFS feed, unpacked or zipped.
func readTariff(path string) (*fare.Tariff, error) {
	files, err := readTariffFiles(path)
	if err != nil {
		return nil, err
	}
	tariff, err := fare.Parse(files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tariff, nil
}

// Bounds of a folder of fare tables.
const (
	maxFareFiles     = 10_000
	maxFareFilesSize = 2 * gtfs.MaxZipSize // bytes, of all that are read
)

func readTariffFiles(path string) (fare.Files, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && filepath.Base(path) == faresFolder {
		return nil, fmt.Errorf("%w: a merchant's fare tables stand there (docs/fares.md)", err)
	}
	if err != nil {
		return nil, err
	}
	f := fareFiles{files: fare.Files{}, left: maxFareFilesSize}
	if !info.IsDir() {
		if !strings.EqualFold(filepath.Ext(path), ".zip") {
			return nil, fmt.Errorf("%s: neither a folder of fare tables nor a zipped GTFS feed", path)
		}
		return f.files, f.add(path, "gtfs.zip")
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // a folder may be a link to the one that counts now
		return nil, err
	}
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || file == path {
			return err
		}
		if strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		name, err := filepath.Rel(path, file)
		if err != nil {
			return err
		}
		if len(f.files) == maxFareFiles {
			return fmt.Errorf("%s: more than %d files: this is no folder of fare tables", path, maxFareFiles)
		}
		return f.add(file, filepath.ToSlash(name))
	})
	return f.files, err
}

// fareFiles are files of fare tables, as far as they were read.
type fareFiles struct {
	files fare.Files
	left  int64 // bytes that may still be read
}

// add reads what is looked into; of the others the name is enough.
func (f *fareFiles) add(path, name string) error {
	f.files[name] = nil
	base := filepath.Base(name)
	if !strings.EqualFold(filepath.Ext(base), ".csv") && base != "gtfs.zip" && !gtfs.Reads(base) {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if f.left -= info.Size(); !info.Mode().IsRegular() || f.left < 0 {
		return fmt.Errorf("%s: no plain file, or more than 1 GiB of fare tables together", path)
	}
	f.files[name], err = os.ReadFile(path)
	return err
}
