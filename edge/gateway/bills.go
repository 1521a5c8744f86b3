package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

// BillPath is where reconciliation files are fetched.
const BillPath = "/bill.do"

// Bounds of a download.
const (
	billLinkLasts   = 30 * time.Second // as published clients know it
	billFetchLasts  = 30 * time.Minute // for a large file on a slow line
	minBillKeyBytes = 32
)

// Bill names a reconciliation file of a merchant.
type Bill struct {
	Type string // trade, signcustomer
	Date string // yyyy-MM-dd, or yyyy-MM for a month
}

// BillFile is one, opened.
type BillFile struct {
	Name     string // what it is called on the merchant's disk, as 20260511_trade.csv.zip
	Modified time.Time
	Content  io.ReadSeekCloser
}

// Bills keeps reconciliation files (对账文件).
type Bills interface {
	// Bill opens the file of a merchant; fs.ErrNotExist is in the chain where there is none, or none yet.
	Bill(ctx context.Context, merchant payment.Merchant, bill Bill) (*BillFile, error)
}

// BillService is how the gateway hands files out: under links that it signs, each for one file of one app, for
// half a minute.
type BillService struct {
	Files Bills
	URL   string // where clients reach the gateway, as https://pay.example.com
	Key   []byte // signs the links: at least 32 secret bytes, the same at every server of the platform
}

func (b *BillService) check() error {
	address, err := url.Parse(b.URL)
	if err != nil || address.Host == "" || address.RawQuery != "" || address.Scheme != "http" && address.Scheme != "https" {
		return errors.New("gateway: the address of bills is not http:// or https:// with a host and without a query")
	}
	if b.Files == nil || len(b.Key) < minBillKeyBytes {
		return errors.New("gateway: bills need Files, and a Key of at least 32 bytes")
	}
	return nil
}

func (s *server) billQuery(ctx context.Context, c call, r openapi.BillQueryRequest) (openapi.BillQueryResponse, error) {
	if s.Bills == nil {
		return openapi.BillQueryResponse{}, errNotOpen()
	}
	bill := Bill{Type: r.BillType, Date: r.BillDate}
	file, err := s.Bills.Files.Bill(ctx, c.app.Merchant, bill)
	if errors.Is(err, fs.ErrNotExist) {
		return openapi.BillQueryResponse{}, openapi.Refuse(openapi.SubBillNotExist, "账单次日生成，请确认 bill_date 与 bill_type")
	}
	if err != nil {
		return openapi.BillQueryResponse{}, err
	}
	defer file.Content.Close()
	return openapi.BillQueryResponse{DownloadURL: s.Bills.link(c.app.ID, bill, file.Name, c.now)}, nil
}

// link is an address that holds until it expires, for this app's file alone.
func (b *BillService) link(app payment.AppID, bill Bill, name string, now time.Time) string {
	expires := strconv.FormatInt(now.Add(billLinkLasts).Unix(), 10)
	query := url.Values{"app_id": {string(app)}, "bill_type": {bill.Type}, "bill_date": {bill.Date}, "expires": {expires},
		"downloadFileName": {name}, "sign": {b.sign(string(app), bill.Type, bill.Date, expires, name)}}
	return strings.TrimSuffix(b.URL, "/") + BillPath + "?" + query.Encode()
}

// sign is a MAC over the parts of a link, each with its length before it so that no two links run together.
func (b *BillService) sign(parts ...string) string {
	mac := hmac.New(sha256.New, b.Key)
	for _, part := range parts {
		io.WriteString(mac, strconv.Itoa(len(part))+":"+part)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// serveBill sends a file to whoever has its link. What is wrong is told in words, with a status that programs read.
func (s *server) serveBill(w http.ResponseWriter, r *http.Request) {
	file, status, why := s.openBill(r)
	if file == nil {
		w.Header().Set("Content-Type", "text/plain;charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, why+"\n")
		return
	}
	defer file.Content.Close()
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": file.Name}))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(billFetchLasts)) // a server that cannot keeps its own
	http.ServeContent(w, r, "", file.Modified, file.Content)
}

// openBill checks a link and gives its file, or what to answer.
func (s *server) openBill(r *http.Request) (file *BillFile, status int, why string) {
	q := r.URL.Query()
	bill := Bill{Type: q.Get("bill_type"), Date: q.Get("bill_date")}
	wanted := s.Bills.sign(q.Get("app_id"), bill.Type, bill.Date, q.Get("expires"), q.Get("downloadFileName"))
	if !hmac.Equal([]byte(wanted), []byte(q.Get("sign"))) {
		return nil, http.StatusForbidden, "下载地址无效，请重新查询账单下载地址"
	}
	expires, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	if err != nil || s.Now().Unix() > expires {
		return nil, http.StatusForbidden, "下载超时，请重新查询账单下载地址"
	}
	x := s.newExchange()
	x.address = addressOf(r, s.TrustedProxies)
	app, known, err := s.Apps.App(r.Context(), openapi.AppID(q.Get("app_id")))
	x.app = app
	if err == nil && (!known || x.admit() != nil) {
		return nil, http.StatusForbidden, "该应用不能从此地址下载账单"
	}
	if err == nil {
		file, err = s.Bills.Files.Bill(r.Context(), app.Merchant, bill)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, http.StatusNotFound, "账单不存在"
	case err != nil:
		s.Logger.Error("bill", "trace", x.trace, "app", string(app.ID), "error", err)
		return nil, http.StatusServiceUnavailable, "服务暂不可用，请稍后重试"
	}
	return file, http.StatusOK, ""
}
