package gtfs

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"path"

	"github.com/shuama/shuama/protocol/form"
)

// Bounds of a zipped feed. What is not read is not unpacked: a feed's timetable may be large.
const (
	MaxZipSize  = 512 << 20 // bytes
	maxZipFiles = 1000
	maxReadSize = 256 << 20 // bytes of all files that are read, unpacked
)

// Unzip takes a feed's archive apart.
func Unzip(archive []byte) (Files, error) {
	if len(archive) > MaxZipSize {
		return nil, zipError("gtfs.zip", "longer than 512 MiB")
	}
	reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, zipError("gtfs.zip", "not a zip archive: "+err.Error())
	}
	if len(reader.File) > maxZipFiles {
		return nil, zipError("gtfs.zip", fmt.Sprintf("more than %d files", maxZipFiles))
	}
	files, left := Files{}, int64(maxReadSize)
	for _, entry := range reader.File {
		if err := files.unpack(entry, &left); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (f Files) unpack(entry *zip.File, left *int64) error {
	name := path.Base(entry.Name)
	if entry.FileInfo().IsDir() || name != entry.Name && !Reads(name) {
		return nil
	}
	if _, twice := f[name]; twice {
		return zipError(name, "stands twice in the archive")
	}
	if name != entry.Name {
		return zipError(entry.Name, "the files of a feed stand at the top of its archive, in no folder")
	}
	f[name] = nil
	if !Reads(name) {
		return nil
	}
	opened, err := entry.Open()
	if err != nil {
		return zipError(name, "cannot be unpacked: "+err.Error())
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, *left+1)) // whatever size the archive claims
	if err != nil {
		return zipError(name, "cannot be unpacked: "+err.Error())
	}
	if *left -= int64(len(content)); *left < 0 {
		return zipError(name, "the files of this feed are longer than 256 MiB together")
	}
	f[name] = content
	return nil
}

func zipError(file, why string) error { return &form.CellError{File: file, Why: why} }
