package openapi

import "github.com/shuama/shuama/protocol/ridecode"

// MaxDenyPage is the largest page of the deny list (gateway-facts §3).
const MaxDenyPage = 1000

const maxPageIndex = 1_000_000

// DenyListRequest asks for one page of the deny list (gateway-facts §3).
type DenyListRequest struct {
	PageIndex int64 // from 1; 1 where it is left out
	PageSize  int64 // 1 to MaxDenyPage; MaxDenyPage where it is left out
}

// DenyListResponse is the users on the page, ascending; none behind the last page.
type DenyListResponse struct{ Users []ridecode.UserID }

// DenyListQuery is 用户黑名单查询, gateway-facts §3.
func DenyListQuery() Codec[DenyListRequest, DenyListResponse] {
	return Codec[DenyListRequest, DenyListResponse]{
		Method: MethodDenyListQuery, Title: "用户黑名单查询",
		request:  message[DenyListRequest]{clause: clauseTransit, tell: (*DenyListRequest).tell},
		response: message[DenyListResponse]{clause: clauseTransit, tell: (*DenyListResponse).tell},
	}
}

func (r *DenyListRequest) tell(d members) {
	if r.PageIndex == 0 {
		r.PageIndex = 1
	}
	if r.PageSize == 0 {
		r.PageSize = MaxDenyPage
	}
	d.number(may("page_index", maxPageIndex, "页码，从 1 开始").atLeast(1), &r.PageIndex)
	d.number(may("page_size", MaxDenyPage, "每页数量").atLeast(1), &r.PageSize)
}

func (r *DenyListResponse) tell(d members) {
	texts(d, need("black_list", MaxDenyPage, "用户 id 列表").eachOf(64), &r.Users)
}
