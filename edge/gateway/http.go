package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync/atomic"
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

// NewHTTPServer makes a server that slow clients, endless headers and crowds cannot hold.
func NewHTTPServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: handler, ConnState: newCrowd(maxConnections).follow,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderSize,
	}
}

// Bounds of what bodies take in memory, in bytes. A small body needs no more than its connection does; what is
// larger draws on one budget, so that many slow clients, each with half a large body, cannot fill the memory.
// While the budget is drawn, small requests, which nearly all are, go on.
const (
	smallBody  = 16 << 10
	bodyMemory = 256 << 20 // some times this, while what was read is taken apart
)

// bodyBudget counts what large bodies have drawn.
type bodyBudget struct{ drawn atomic.Int64 }

// read reads the form of a request. A body that is announced too long is not read at all. release gives back
// what the body has drawn, once nobody looks at it any more.
func (b *bodyBudget) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	loan := &bodyLoan{budget: b}
	tooLong := openapi.Refuse(openapi.SubInvalidParameter, fmt.Sprintf("请求超过 %d 字节，请分批请求", openapi.MaxRequestSize))
	if r.ContentLength > openapi.MaxRequestSize {
		return nil, loan.release, tooLong
	}
	body, err = loan.readAll(http.MaxBytesReader(w, r.Body, openapi.MaxRequestSize), r.ContentLength)
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, loan.release, tooLong
	case errors.Is(err, errNoMemory):
		w.Header().Set("Connection", "close") // the rest of the body is not waited for
		return nil, loan.release, openapi.Refuse(openapi.SubGatewayUnknown, "平台繁忙，请稍后以相同内容重试")
	case err != nil:
		return nil, loan.release, openapi.Refuse(openapi.SubInvalidParameter, "请求未传完")
	case len(body) > 0 && !isForm(r.Header.Get("Content-Type")):
		return nil, loan.release, openapi.Refuse(openapi.SubInvalidFormat, "Content-Type 请使用 application/x-www-form-urlencoded")
	}
	return body, loan.release, nil
}

// bodyLoan is what one body has drawn.
type bodyLoan struct {
	budget *bodyBudget
	drawn  int64
}

var errNoMemory = errors.New("gateway: the budget of bodies is drawn")

func (l *bodyLoan) release() { l.budget.drawn.Add(-l.drawn) }

// draw takes size bytes in all.
func (l *bodyLoan) draw(size int) error {
	more := int64(size) - l.drawn
	if size <= smallBody+bytes.MinRead || more <= 0 {
		return nil
	}
	if l.budget.drawn.Add(more) > bodyMemory {
		l.budget.drawn.Add(-more)
		return errNoMemory
	}
	l.drawn += more
	return nil
}

// readAll grows with what has come, not with what was announced.
func (l *bodyLoan) readAll(body io.Reader, announced int64) ([]byte, error) {
	read := make([]byte, 0, min(max(announced, bytes.MinRead), smallBody)+1)
	for {
		if len(read) == cap(read) {
			grown := min(2*cap(read), openapi.MaxRequestSize+bytes.MinRead)
			if err := l.draw(grown); err != nil {
				return nil, err
			}
			read = append(make([]byte, 0, grown), read...)
		}
		n, err := body.Read(read[len(read):cap(read)])
		read = read[:len(read)+n]
		if err == io.EOF {
			return read, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// isForm takes any parameters of the media type: clients write charset there in many ways.
func isForm(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return contentType == "" || media == "application/x-www-form-urlencoded" && (err == nil || errors.Is(err, mime.ErrInvalidMediaParameter))
}
