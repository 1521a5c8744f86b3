package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/scan"
)

// readTimeout bounds one picture in a foreign program.
const readTimeout = 30 * time.Second

// decoder is a reader under test. read answers with nil when it finds nothing.
type decoder struct {
	name string
	read func(ctx context.Context, path string, file []byte) []byte
}

// ours is the reader of edge/scan, in this process.
func ours() decoder {
	return decoder{"shuama", func(_ context.Context, _ string, file []byte) []byte {
		found, err := scan.DecodePicture(bytes.NewReader(file))
		if err != nil {
			return nil
		}
		var all []byte
		for _, symbol := range found {
			all = append(all, symbol.Payload...)
		}
		return all
	}}
}

// debian is the readers of the distribution. zbarimg must be asked for bytes: without -Sbinary it guesses a
// character set and returns other bytes with exit code 0.
func debian() ([]decoder, error) {
	var all []decoder
	for _, program := range []struct{ name, debianPackage, command string }{
		{"zbar", "zbar-tools", "zbarimg -q --raw -Sbinary {}"},
		{"ZXing", "zxing-cpp-tools", "ZXingReader -format QRCode -bytes {}"},
	} {
		if _, err := exec.LookPath(strings.Fields(program.command)[0]); err != nil {
			return nil, fmt.Errorf("%s is missing: apt-get install %s", program.name, program.debianPackage)
		}
		all = append(all, program2decoder(program.name, program.command))
	}
	return all, nil
}

// parseDecoder reads NAME=COMMAND, where {} in the command stands for the picture's path; without it the path
// comes last. The program writes the bytes of the symbol, and nothing else, to standard output.
func parseDecoder(text string) (decoder, error) {
	name, command, found := strings.Cut(text, "=")
	if !found || name == "" || strings.TrimSpace(command) == "" {
		return decoder{}, fmt.Errorf("-with %q: not of the form NAME=COMMAND, as zbar=\"zbarimg -q --raw -Sbinary {}\"", text)
	}
	return program2decoder(name, command), nil
}

func program2decoder(name, command string) decoder {
	return decoder{name, func(ctx context.Context, path string, _ []byte) []byte {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		words := strings.Fields(strings.ReplaceAll(command, "{}", path))
		if !strings.Contains(command, "{}") {
			words = append(words, path)
		}
		output, err := exec.CommandContext(ctx, words[0], words[1:]...).Output()
		if err != nil {
			return nil // "nothing found" is an error with all of them
		}
		return output
	}}
}
