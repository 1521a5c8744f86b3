package scan

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
)

// Limits of a picture. They bound memory and time for files that strangers upload.
const (
	MaxPictureSize   = 16 << 20 // bytes of the file
	MaxPicturePixels = 16 << 20 // width × height
)

var (
	// ErrNoSymbol says that no QR code could be read: there is none, or it is too blurred.
	ErrNoSymbol = errors.New("scan: no readable QR code in the picture; take it straight, sharp and closer")
	// ErrPictureTooLarge answers a file above the limits.
	ErrPictureTooLarge = errors.New("scan: picture too large")
	// ErrPictureFormat answers a file that is not a PNG, JPEG or GIF, or a broken one.
	ErrPictureFormat = errors.New("scan: not a readable PNG, JPEG or GIF picture")
)

// Found is a symbol as it was read.
type Found struct {
	Payload []byte // the exact bytes; a character set mark in the symbol does not change them
	Version int    // 1..40
	Level   Level
	Pass    string // how it was found, for the curious
}

// DecodePicture returns the QR codes in a PNG, JPEG or GIF (first frame) picture. It looks again
// and again, with the picture smaller, larger, turned, inverted and sharpened, until one look
// finds something, and returns all that this look found, in no promised order. Errors:
// ErrNoSymbol, ErrPictureTooLarge, ErrPictureFormat, errors of the reader.
func DecodePicture(r io.Reader) ([]Found, error) {
	picture, err := readPicture(r)
	if err != nil {
		return nil, err
	}
	return DecodeImage(picture)
}

// DecodeImage is DecodePicture for a picture in memory, such as a frame of a camera.
func DecodeImage(picture image.Image) ([]Found, error) {
	size := picture.Bounds().Size()
	if err := checkSize(size.X, size.Y); err != nil {
		return nil, err
	}
	return look(grayOf(picture))
}

// format is a kind of picture file. They are listed here and not registered, so that a program
// which links more of them does not make this package take more.
type format struct {
	magic  string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

func formats() []format {
	return []format{
		{"\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode},
		{"\xff\xd8\xff", jpeg.DecodeConfig, jpeg.Decode},
		{"GIF8", gif.DecodeConfig, gif.Decode},
	}
}

// readPicture reads the size first: a file of a few bytes can announce a picture of gigabytes.
func readPicture(r io.Reader) (image.Image, error) {
	file, err := io.ReadAll(io.LimitReader(r, MaxPictureSize+1))
	if err != nil {
		return nil, fmt.Errorf("scan: read picture: %w", err)
	}
	if len(file) > MaxPictureSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrPictureTooLarge, MaxPictureSize)
	}
	for _, f := range formats() {
		if bytes.HasPrefix(file, []byte(f.magic)) {
			return f.read(file)
		}
	}
	return nil, ErrPictureFormat
}

func (f format) read(file []byte) (image.Image, error) {
	config, err := f.config(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPictureFormat, err)
	}
	if err := checkSize(config.Width, config.Height); err != nil {
		return nil, err
	}
	picture, err := f.decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPictureFormat, err)
	}
	return picture, nil
}

func checkSize(width, height int) error {
	if width <= 0 || height <= 0 {
		return fmt.Errorf("%w: %d × %d pixels", ErrPictureFormat, width, height)
	}
	if width > MaxPicturePixels/height {
		return fmt.Errorf("%w: %d × %d pixels, limit %d in all", ErrPictureTooLarge, width, height, MaxPicturePixels)
	}
	return nil
}
