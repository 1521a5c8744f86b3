package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/shuama/shuama/edge/scan"
)

// readArgument reads what a person gives as HEX, - or FILE: the bytes of a code or a record, as they
// are, as hex or base64 text, or inside a picture.
func readArgument(w *world, argument string) ([]byte, error) {
	if argument == "-" {
		content, err := readAll(w.stdin)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return decodeContent(content)
	}
	file, err := os.Open(argument)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrInvalid) || err != nil && len(argument) > 255 {
		payload, _, err := scan.ParseText(argument)
		if err != nil {
			return nil, fmt.Errorf("the argument is neither a file that exists nor the text of a code: %w", err)
		}
		return payload, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := readAll(file)
	if err != nil {
		return nil, err
	}
	return decodeContent(content)
}

func readAll(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, scan.MaxPictureSize+1))
	if err != nil {
		return nil, err
	}
	if len(content) > scan.MaxPictureSize {
		return nil, fmt.Errorf("more than %d MiB: no code, record or picture is that large", scan.MaxPictureSize>>20)
	}
	if len(content) == 0 {
		return nil, errors.New("nothing there: give the bytes of a code or a record, hex, base64 or a picture")
	}
	return content, nil
}

// decodeContent tells a picture from text from raw bytes. A code or a record in raw bytes is never
// UTF-8 text without control characters: both begin with one.
func decodeContent(content []byte) ([]byte, error) {
	if strings.HasPrefix(http.DetectContentType(content), "image/") {
		return decodePicture(content)
	}
	if !isText(content) {
		return content, nil
	}
	payload, _, err := scan.ParseText(string(content))
	return payload, err
}

func decodePicture(content []byte) ([]byte, error) {
	found, err := scan.DecodePicture(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if len(found) > 1 {
		return nil, fmt.Errorf("%d QR codes in the picture: cut out the one you mean", len(found))
	}
	return found[0].Payload, nil
}

func isText(content []byte) bool {
	for _, r := range string(content) {
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
	}
	return true
}
