// Package depot is what terminals talk to when they have a network (终端后台): they bring their acceptance
// records to the merchant, fetch what they trust from the institution, and compare clocks.
//
// Everything here may be lost, doubled or cut off at any moment. Records are brought in order and
// again until they are acknowledged, and the merchant's intake takes each once. A terminal that never
// reaches its depot goes on alone: nothing in Accept waits for this package.
package depot

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/scan"
	"github.com/shuama/shuama/role/merchant"
)

// Where a depot answers.
const (
	RecordsPath = "/terminal/records" // POST: records in, as frames; JSON out
	ClockPath   = "/terminal/clock"   // GET: the time, as JSON
)

// Bounds of one upload.
const (
	MaxUploadRecords = 500
	maxUploadSize    = 3 << 20 // bytes; MaxUploadRecords of the largest records fit
	maxAnswerSize    = 1 << 20
	maxReasonSize    = 200 // bytes; JSON makes at most six of one
)

// Intake takes records for good: *merchant.Merchant is one.
type Intake interface {
	Collect(ctx context.Context, batch [][]byte, now time.Time) ([]merchant.Answer, error)
}

// Config is what a depot is made of.
type Config struct {
	Intake Intake
	Online Online
	// Token is what the merchant's terminals show. It keeps strangers from filling the disk: what a
	// record is worth, its own signatures say.
	Token  string
	Now    func() time.Time
	Logger *slog.Logger
}

// Receipt answers an upload: all Count records are the merchant's now, whatever became of each.
type Receipt struct {
	Count int     `json:"count"`
	Aside []Aside `json:"aside,omitempty"` // those that stand aside, for the terminal's maintainer
}

// Aside is a record of an upload that no trade comes of.
type Aside struct {
	Index  int    `json:"index"`  // in the upload, from 0
	Reason string `json:"reason"` // at most 200 bytes
}

// Clock is the depot's time.
type Clock struct {
	UnixMilli int64 `json:"unix_ms"`
}

// New makes the handler.
func New(config Config) (http.Handler, error) {
	if len(config.Token) < 16 {
		return nil, errors.New("depot: a token has at least 16 characters")
	}
	d := &depot{config: config, token: sha256.Sum256([]byte(config.Token))}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+RecordsPath, d.records)
	mux.HandleFunc("POST "+OnlinePath, d.online)
	mux.HandleFunc("POST "+ShutPath, d.shut)
	mux.HandleFunc("GET "+ClockPath, d.clock)
	return mux, nil
}

type depot struct {
	config Config
	token  [sha256.Size]byte
}

// records acknowledges an upload once every record of it is stored.
func (d *depot) records(out http.ResponseWriter, request *http.Request) {
	if !d.known(request) {
		http.Error(out, "this terminal shows no token of this merchant: its upload.token must be the merchant's depot.token", http.StatusUnauthorized)
		return
	}
	batch, err := readUpload(http.MaxBytesReader(out, request.Body, maxUploadSize))
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	answers, err := d.config.Intake.Collect(request.Context(), batch, d.config.Now().UTC())
	if err != nil {
		d.config.Logger.Error("records could not be taken", "count", len(batch), "err", err)
		http.Error(out, "the records could not be stored now: send them again", http.StatusServiceUnavailable)
		return
	}
	d.config.Logger.Info("records", "count", len(batch))
	answer(out, receiptOf(answers))
}

// known compares digests, so that neither time nor length tells anything of the token.
func (d *depot) known(request *http.Request) bool {
	shown, _ := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	digest := sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(digest[:], d.token[:]) == 1
}

func readUpload(body io.Reader) ([][]byte, error) {
	var batch [][]byte
	for {
		raw, err := scan.ReadFramed(body)
		if errors.Is(err, io.EOF) && len(batch) > 0 {
			return batch, nil
		}
		if err != nil {
			return nil, errors.New("the upload is not whole frames of a record each: send it again")
		}
		if batch = append(batch, raw); len(batch) > MaxUploadRecords {
			return nil, errors.New("more than 500 records in one upload: send fewer")
		}
	}
}

func receiptOf(answers []merchant.Answer) Receipt {
	receipt := Receipt{Count: len(answers)}
	for i, answer := range answers {
		if answer.Standing == merchant.SetAside {
			receipt.Aside = append(receipt.Aside, Aside{Index: i, Reason: cut(answer.Reason)})
		}
	}
	return receipt
}

// cut keeps a reason short, at a whole character: 500 of the longest, escaped, stay within what a
// terminal reads of an answer.
func cut(reason string) string {
	return strings.ToValidUTF8(reason[:min(len(reason), maxReasonSize)], "")
}

func (d *depot) clock(out http.ResponseWriter, _ *http.Request) {
	answer(out, Clock{UnixMilli: d.config.Now().UnixMilli()})
}

func answer(out http.ResponseWriter, body any) {
	out.Header().Set("Content-Type", "application/json")
	out.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(out).Encode(body) // who is gone will ask again
}
