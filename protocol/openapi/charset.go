package openapi

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// parseCharset takes the names of gateway-facts §7, in any case; empty is UTF-8.
func parseCharset(name string) (Charset, bool) {
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8":
		return UTF8, true
	case "gbk", "gb2312":
		return GBK, true
	}
	return UTF8, false
}

// decode gives the text of a parameter in UTF-8. Bytes that are no text in the charset are refused:
// replaced ones would make two trade numbers one.
func (c Charset) decode(value []byte) ([]byte, bool) {
	if c == GBK {
		text, err := simplifiedchinese.GBK.NewDecoder().Bytes(value)
		return text, err == nil && !strings.ContainsRune(string(text), utf8.RuneError)
	}
	return value, utf8.Valid(value)
}
