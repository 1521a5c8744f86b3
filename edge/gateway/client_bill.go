package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/shuama/shuama/protocol/openapi"
)

// MaxBillSize bounds what FetchBill takes, in bytes.
const MaxBillSize = 1 << 30

// FetchBill asks for the reconciliation file of a merchant's day, and writes what stands under the link into w
// (对账文件, DIVERGENCES, reconciliation files). The link lives for half a minute: ask again after an error. Errors
// are those of Settle: openapi.SubBillNotExist where there is no file, or none yet.
func (c *Client) FetchBill(ctx context.Context, bill Bill, w io.Writer) error {
	answer, err := Ask(ctx, c, openapi.BillQuery(), openapi.BillQueryRequest{BillType: bill.Type, BillDate: bill.Date})
	if err != nil {
		return err
	}
	address, err := url.Parse(answer.DownloadURL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return &openapi.ResponseError{Why: "bill_download_url: not http:// or https:// with a host"}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, answer.DownloadURL, nil)
	if err != nil {
		return &openapi.ResponseError{Why: "bill_download_url: no request can be made of it"}
	}
	slow := *c.config.HTTP // a large file takes longer than a call
	slow.Timeout = billFetchLasts
	response, err := slow.Do(request)
	if err != nil {
		return &TransportError{Why: "the bill could not be fetched", Err: withoutURL(err)}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return &TransportError{Why: fmt.Sprintf("the bill: HTTP status %d instead of 200", response.StatusCode)}
	}
	return copyBill(w, response.Body)
}

func copyBill(w io.Writer, body io.Reader) error {
	copied, err := io.Copy(w, io.LimitReader(body, MaxBillSize+1))
	if err != nil {
		return &TransportError{Why: "the bill broke off", Err: err}
	}
	if copied > MaxBillSize {
		return errors.New("gateway: the bill is over 1 GiB")
	}
	return nil
}
