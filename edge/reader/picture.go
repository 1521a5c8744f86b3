package reader

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/shuama/shuama/edge/scan"
)

// Pictures reads picture files (PNG, JPEG, GIF), one after the other, and hands on every QR code in
// each; the file is the Source of a scan. A file without a readable code, or that cannot be read, is a
// scan with Err.
func Pictures(paths ...string) Source { return pictures(paths) }

type pictures []string

func (p pictures) Run(ctx context.Context, found func(Scan)) error {
	for _, path := range p {
		if ctx.Err() != nil {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			found(Scan{Source: path, Err: fmt.Errorf("reader: picture: %w", err)})
			continue
		}
		_ = readPicture(file, path, found)
		file.Close()
	}
	return nil
}

// readPicture hands on the codes of a picture, all of them, or the error that it answers.
func readPicture(file io.Reader, path string, found func(Scan)) error {
	symbols, err := scan.DecodePicture(file)
	if err != nil {
		found(Scan{Source: path, Err: fmt.Errorf("%s: %w", path, err)})
		return err
	}
	for _, symbol := range symbols {
		found(Scan{Payload: symbol.Payload, Source: path})
	}
	return nil
}
