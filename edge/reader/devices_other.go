//go:build !linux

package reader

import (
	"errors"
	"fmt"
)

// Serial opens a scanner on a serial line; here it answers errors.ErrUnsupported.
func Serial(path string, _ int, _ Framing) (Source, error) {
	return nil, fmt.Errorf("reader: serial line %s: %w: serial lines are read on Linux", path, errors.ErrUnsupported)
}

// Keyboard opens a scanner that types; here it answers errors.ErrUnsupported.
func Keyboard(path string) (Source, error) {
	return nil, fmt.Errorf("reader: input device %s: %w: input devices are read on Linux", path, errors.ErrUnsupported)
}

// BaudRates lists what Serial can be set to: nothing here.
func BaudRates() []int { return nil }
