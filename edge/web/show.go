package web

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/shuama/shuama/protocol/form"
)

// language is what a page is written in.
type language string

// The languages.
const (
	chinese language = "zh-CN"
	english language = "en"
)

// languageOf is what the link asks for, or the browser; Chinese otherwise.
func languageOf(r *http.Request) language {
	for _, wanted := range append([]string{r.FormValue("lang")}, strings.Split(r.Header.Get("Accept-Language"), ",")...) {
		switch prefix, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(wanted)), "-"); strings.SplitN(prefix, ";", 2)[0] {
		case "zh":
			return chinese
		case "en":
			return english
		}
	}
	return chinese
}

// page is what the templates show.
type page struct {
	Lang      language
	Title     string
	Template  string
	City      string
	Entry     string // the query that brought the rider here; it is read again with each form
	Rider     string
	Notice    string // the name of a text
	Signed    bool
	Agreement string
	Card      cardView
	CardType  string
	CardNo    string
	RedrawSec int
	Rides     []rideView
	Newest    string // the query of the first page, where this is another
	Older     string // and of the next one, where there is one
	Wrong     *form.Error
}

func (s *server) page(r *http.Request, e *entry) page {
	title := e.title()
	if e.action == actionRides {
		title = textsIn(languageOf(r))["rides"]
	}
	return page{Lang: languageOf(r), Title: title, Template: e.terms.Template, City: e.subScene, Entry: e.query}
}

func parsePages() (map[language]*template.Template, error) {
	pages := map[language]*template.Template{}
	for _, lang := range []language{chinese, english} {
		texts := textsIn(lang)
		parsed, err := template.New("").Funcs(template.FuncMap{"text": func(name string) (string, error) {
			if text, known := texts[name]; known {
				return text, nil
			}
			return "", fmt.Errorf("web: no text %q in %s", name, lang)
		}}).ParseFS(files, "pages/*.html")
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		pages[lang] = parsed
	}
	return pages, nil
}

// show writes a page whole, or none of it.
func (s *server) show(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	var out bytes.Buffer
	if err := s.pages[p.Lang].ExecuteTemplate(&out, name+".html", p); err != nil {
		s.log(r, err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", string(p.Lang))
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // who has gone away needs no page
}

// refuse says what is wrong with a link. It sends nobody anywhere.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	p := page{Lang: languageOf(r)}
	if !errors.As(err, &p.Wrong) {
		s.fail(w, r, err)
		return
	}
	s.show(w, r, status, "wrong", p)
}

// fail is for faults that are ours.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.log(r, err)
	s.show(w, r, http.StatusServiceUnavailable, "wrong", page{Lang: languageOf(r)})
}

// log names no rider, no card and no address with a query.
func (s *server) log(r *http.Request, err error) {
	if r.Context().Err() == nil {
		s.Logger.Error("page", "path", r.URL.Path, "err", err)
	}
}

// textsIn are the words of the pages.
func textsIn(lang language) map[string]string {
	texts := map[string]string{}
	for name, both := range map[string][2]string{
		"login":         {"登录", "Log in"},
		"loginWhy":      {"请以支付账户和支付密码确认身份。", "Show who you are with your payment account and its password."},
		"user":          {"支付账户", "Payment account"},
		"password":      {"支付密码", "Payment password"},
		"wrongPassword": {"支付账户或密码不正确。", "This account or password is wrong."},
		"locked":        {"密码错误次数过多，请稍后再试。", "Too many wrong passwords: try again later."},
		"logout":        {"退出", "Log out"},
		"signTitle":     {"公交付款服务签约", "Sign up for transit payment"},
		"template":      {"卡面模板", "Card template"},
		"agreement":     {"服务协议", "Agreement"},
		"agree":         {"同意协议并签约", "Agree and sign up"},
		"decline":       {"暂不签约", "Not now"},
		"signed":        {"您已签约公交付款服务。", "You have signed up for transit payment."},
		"goBack":        {"返回商户", "Back to the merchant"},
		"balance":       {"余额（元）", "Balance (yuan)"},
		"postpaid":      {"后付费卡，票款从支付账户扣除", "Postpaid: fares are taken from your payment account"},
		"card":          {"卡号", "Card"},
		"updated":       {"更新时间", "As of"},
		"showCode":      {"请将二维码对准闸机扫码口", "Hold the code to the gate's reader"},
		"codeAlt":       {"乘车码", "Ride code"},
		"redraws":       {"每分钟自动刷新", "It is drawn anew each minute"},
		"stale":         {"无法连接服务器，二维码未刷新。", "The server cannot be reached; the code is not fresh."},
		"noCodes":       {"此服务器不出示乘车码，请使用手机客户端。", "This server shows no codes: use the wallet on your phone."},
		"riderStopped":  {"您的账户暂不能乘车。如有欠款请先充值还清，否则请联系客服申诉。", "You may not ride now. Top up what you owe; if you owe nothing, ask the support to look at it."},
		"notUsable":     {"此卡暂不可用", "This card may not be used now"},
		"rides":         {"我的乘车", "My rides"},
		"noRides":       {"还没有乘车记录。", "No rides yet."},
		"older":         {"更早的乘车", "Earlier rides"},
		"newest":        {"最近的乘车", "Latest rides"},
		"to":            {"至", "to"},
		"yuan":          {"元", "yuan"},
		"SCANNED":       {"已刷码，票款待定", "Scanned; the fare comes later"},
		"PAID":          {"已扣款", "Paid"},
		"PAID_OUTSIDE":  {"已从卡内扣款", "Paid from the card"},
		"FREE":          {"免费", "Free"},
		"UNPAID":        {"未扣款", "Not charged"},
		"GUARANTEED":    {"由担保资金垫付", "Paid in advance by the guarantee fund"},
		"PARTLY_BACK":   {"部分退款，已退（元）", "Partly refunded, yuan"},
		"BACK":          {"已退款", "Refunded"},
		"wrongTitle":    {"无法打开此页面", "This page cannot be opened"},
		"wrongLink":     {"链接参数有误，请联系商户：", "The link is wrong; tell the merchant:"},
		"wrongServer":   {"系统繁忙，请稍后再试。", "The server is busy: try again later."},
	} {
		texts[name] = both[map[language]int{chinese: 0, english: 1}[lang]]
	}
	return texts
}
