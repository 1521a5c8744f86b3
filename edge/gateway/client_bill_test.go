package gateway_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
)

var dayBill = gateway.Bill{Type: "trade", Date: "2026-05-10"}

// A bill is fetched as it stands on the platform's disk, and one that is not there is said to be so.
func TestFetchBill(t *testing.T) {
	w := newWorld(t, nil)
	w.putBill(t, appID, "trade-2026-05-10.csv.zip", "mine")
	var got bytes.Buffer
	if err := w.client(t).FetchBill(t.Context(), dayBill, &got); err != nil || got.String() != "mine" {
		t.Errorf("%q, %v", got.String(), err)
	}
	var refusal *openapi.Error
	if err := w.client(t).FetchBill(t.Context(), gateway.Bill{Type: "trade", Date: "2026-05-11"}, &got); !errors.As(err, &refusal) || refusal.SubCode != openapi.SubBillNotExist {
		t.Errorf("%v", err)
	}
}

// TestFetchBillDistrusts: of a link that leads nowhere good the error says what is wrong, and never the link.
func TestFetchBillDistrusts(t *testing.T) {
	var transport *gateway.TransportError
	var response *openapi.ResponseError
	for _, test := range []struct {
		name, link string
		bill       http.HandlerFunc
		target     any
	}{
		{"another scheme", "file:///etc/hostname?sign=1", nil, &response},
		{"no host", "http://?sign=1", nil, &response},
		{"nobody there", "http://127.0.0.1:1/bill.do?sign=1", nil, &transport},
		{"status 403", "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403); io.WriteString(w, "no") }, &transport},
		{"redirect", "", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, &transport},
		{"broken off", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10000")
			io.WriteString(w, "PK")
		}, &transport},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
				link := test.link
				if link == "" {
					link = "http://" + r.Host + gateway.BillPath + "?sign=1"
				}
				if r.URL.Path != gateway.Path {
					test.bill(w, r)
					return
				}
				w.Write(signedNode(t, openapi.MethodBillQuery, `{"code":"10000","msg":"Success","bill_download_url":"`+link+`"}`))
			})
			err := client.FetchBill(t.Context(), dayBill, io.Discard)
			if !errors.As(err, test.target) || strings.Contains(err.Error(), "sign=") {
				t.Errorf("got %v of type %T", err, err)
			}
		})
	}
}
