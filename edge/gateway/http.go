package gateway

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// Bounds of a connection. A settle request of MaxTrades arrives in ReadTimeout at 1 Mbit/s.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 90 * time.Second
	maxHeaderSize     = 32 << 10
)

// NewHTTPServer makes a server that slow clients and endless headers cannot hold.
func NewHTTPServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: handler,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderSize,
	}
}

// readBody reads the form of a request. A body that is announced too long is not read at all.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLong := openapi.Refuse(openapi.SubInvalidParameter, fmt.Sprintf("请求超过 %d 字节，请分批请求", openapi.MaxRequestSize))
	if r.ContentLength > openapi.MaxRequestSize {
		return nil, tooLong
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, openapi.MaxRequestSize))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLong
	case err != nil:
		return nil, openapi.Refuse(openapi.SubInvalidParameter, "请求未传完")
	case len(body) > 0 && !isForm(r.Header.Get("Content-Type")):
		return nil, openapi.Refuse(openapi.SubInvalidFormat, "Content-Type 请使用 application/x-www-form-urlencoded")
	}
	return body, nil
}

// isForm takes any parameters of the media type: clients write charset there in many ways.
func isForm(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return contentType == "" || media == "application/x-www-form-urlencoded" && (err == nil || errors.Is(err, mime.ErrInvalidMediaParameter))
}
