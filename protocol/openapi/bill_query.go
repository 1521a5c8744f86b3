package openapi

import "time"

const clauseBill = "DIVERGENCES, reconciliation files"

// BillQueryRequest asks where a reconciliation file (对账文件) can be fetched. The documents leave its fields
// to the platform; these are what published clients send.
type BillQueryRequest struct {
	BillType string // trade: the merchant's trades; signcustomer: what moved its account
	BillDate string // a day, yyyy-MM-dd, or a month, yyyy-MM, of Beijing
}

// BillQueryResponse is where. The link is the caller's, and holds for half a minute.
type BillQueryResponse struct{ DownloadURL string }

// BillQuery is 查询对账单下载地址.
func BillQuery() Codec[BillQueryRequest, BillQueryResponse] {
	return Codec[BillQueryRequest, BillQueryResponse]{
		Method: MethodBillQuery, Title: "查询对账单下载地址",
		request:  message[BillQueryRequest]{clause: clauseBill, tell: (*BillQueryRequest).tell},
		response: message[BillQueryResponse]{clause: clauseBill, tell: (*BillQueryResponse).tell},
	}
}

func (r *BillQueryRequest) tell(d members) {
	d.text(need("bill_type", 32, "账单类型，trade：交易账单，signcustomer：资金账单").oneOf("trade", "signcustomer"), &r.BillType)
	d.text(need("bill_date", 10, "账单时间，日账单为 yyyy-MM-dd，月账单为 yyyy-MM"), &r.BillDate)
	d.demand(isDay(r.BillDate), "bill_date", "not a day written yyyy-MM-dd, nor a month written yyyy-MM")
}

func isDay(text string) bool {
	for _, layout := range [...]string{"2006-01-02", "2006-01"} {
		if t, err := time.Parse(layout, text); err == nil && t.Format(layout) == text {
			return true
		}
	}
	return false
}

func (r *BillQueryResponse) tell(d members) {
	d.text(need("bill_download_url", 2048, "账单下载地址，30 秒内有效"), &r.DownloadURL)
}
