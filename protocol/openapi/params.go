package openapi

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// param is one parameter, percent-decoded, in the bytes of whatever charset it came in.
type param struct {
	name  string
	value []byte
}

// readParams collects the parameters of a query and a body, sorted by name. A name that stands twice
// with one value counts once (gateway-facts §1). With two values it is an error: the signature's
// reader and the content's reader could each see another. The first value stands, and reading goes
// on, so that even a bad request can be answered under its app and method.
func readParams(query, body []byte) ([]param, error) {
	var params []param
	var fault error
	for _, text := range [][]byte{query, body} {
		for pair := range bytes.SplitSeq(text, []byte("&")) {
			if len(pair) == 0 {
				continue
			}
			p, err := readPair(pair)
			if err == nil {
				params, err = addParam(params, p)
			}
			if fault == nil {
				fault = err
			}
			if len(params) > maxParams {
				return params, Refuse(SubInvalidParameter, fmt.Sprintf("参数超过 %d 个", maxParams))
			}
		}
	}
	slices.SortFunc(params, func(a, b param) int { return strings.Compare(a.name, b.name) })
	return params, fault
}

func addParam(params []param, p param) ([]param, error) {
	for _, have := range params {
		if have.name != p.name {
			continue
		}
		if !bytes.Equal(have.value, p.value) {
			return params, Refuse(SubInvalidParameter, "参数 "+showName(p.name)+" 出现两次且取值不同，每个参数只能有一个值")
		}
		return params, nil
	}
	return append(params, p), nil
}

func readPair(pair []byte) (param, error) {
	name, value, _ := bytes.Cut(pair, []byte("="))
	decodedName, nameOK := percentDecode(name)
	decodedValue, valueOK := percentDecode(value)
	switch {
	case !nameOK || len(decodedName) == 0 || len(decodedName) > maxNameSize:
		return param{}, Refuse(SubInvalidParameter,
			fmt.Sprintf("存在无法识别的参数名，参数名为 1 至 %d 字节，请求需按 x-www-form-urlencoded 编码", maxNameSize))
	case !valueOK:
		return param{}, Refuse(SubInvalidParameter, "参数 "+showName(string(decodedName))+" 的百分号编码有误")
	}
	return param{name: string(decodedName), value: decodedValue}, nil
}

// showName gives a parameter's name to an error only if it looks like one: anything else would let a
// stranger choose a text that the platform signs.
func showName(name string) string {
	if !Method(name).isName() {
		return "(名称略)"
	}
	return name
}

// percentDecode undoes x-www-form-urlencoded; + is a space.
func percentDecode(text []byte) ([]byte, bool) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(text) {
				return out, false
			}
			high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
			if high < 0 || low < 0 {
				return out, false
			}
			out = append(out, byte(high<<4|low))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out, true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// appendEncoded writes parameters as x-www-form-urlencoded.
func appendEncoded(dst []byte, params []param) []byte {
	for i, p := range params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = percentEncode(dst, []byte(p.name))
		dst = append(dst, '=')
		dst = percentEncode(dst, p.value)
	}
	return dst
}

const upperHex = "0123456789ABCDEF"

func percentEncode(dst, text []byte) []byte {
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("-._~", c) >= 0:
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// appendSigningText writes what a signature covers (gateway-facts §1): every parameter but sign, by
// name, as name=value joined with &. Clients disagree about empty values, hence the switch.
func appendSigningText(dst []byte, params []param, keepEmpty bool) []byte {
	start := len(dst)
	for _, p := range params {
		if p.name == "sign" || len(p.value) == 0 && !keepEmpty {
			continue
		}
		if len(dst) > start {
			dst = append(dst, '&')
		}
		dst = append(append(append(dst, p.name...), '='), p.value...)
	}
	return dst
}
