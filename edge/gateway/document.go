package gateway

import (
	"bytes"
	"encoding/json"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/openapi"
)

// Document is the API document: OpenAPI 3.1, in JSON. It is made from the table of methods and from what each
// message tells of itself.
//
// Every method is a POST to one path, which OpenAPI has one operation for: the methods are the alternatives of
// its body and of its answer. biz_content is a text that holds JSON, as JSON Schema's contentSchema has it.
func Document() []byte {
	methods := new(server).listMethods()
	d := document{[]byte(documentHead)}
	d.alternatives(`"requestBody":{"required":true,"content":{"application/x-www-form-urlencoded":{"schema":{"oneOf":[`, methods, "-form")
	d.text(`]}}}},"responses":{"200":{"description":"总是 200；结果见 code 与 sub_code","headers":{"trace_id":{"description":"本次请求的编号","schema":{"type":"string"}}},`)
	d.alternatives(`"content":{"text/html":{"schema":{"oneOf":[`, methods, "-answer")
	d.text(`,{"$ref":"#/components/schemas/error-answer"}]}}}}}}}},"components":{"schemas":{"common":{"type":"object","properties":{` + commonParams +
		`},"required":["app_id","method","sign_type","sign","timestamp","version"]},`)
	d.failure()
	for _, m := range methods {
		d.form(m)
		d.answer(m)
	}
	d.text(`}}}`)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, d.dst, "", "  "); err != nil {
		panic("gateway: internal error: the API document is not JSON: " + err.Error())
	}
	return append(pretty.Bytes(), '\n')
}

const documentHead = `{"openapi":"3.1.1","info":{"title":"Shuama open platform 刷码开放平台","version":"1",` +
	`"description":"Made by shuama app openapi. How requests and answers are signed: docs/gateway.md.","license":{"name":"Apache-2.0","identifier":"Apache-2.0"}},` +
	`"jsonSchemaDialect":"https://json-schema.org/draft/2020-12/schema","servers":[{"url":"http://127.0.0.1:8080"}],"security":[],` +
	`"paths":{"/gateway.do":{"post":{"operationId":"gateway","summary":"开放平台网关：参数可在 query 或 body 中，method 说明调用哪个接口",`

type document struct{ dst []byte }

func (d *document) text(text string) { d.dst = append(d.dst, text...) }

func (d *document) quoted(text string) { d.dst = form.AppendJSONString(d.dst, text) }

func (d *document) alternatives(opening string, methods []method, kind string) {
	d.text(opening)
	for i, m := range methods {
		if i > 0 {
			d.text(",")
		}
		d.text(`{"$ref":"#/components/schemas/` + string(m.Method) + kind + `"}`)
	}
}

// commonParams are those that every request has, or may have (gateway-facts §1).
const commonParams = `"app_id":{"type":"string"},"method":{"type":"string"},"sign_type":{"enum":["RSA2","RSA"]},"sign":{"type":"string","contentEncoding":"base64"},` +
	`"timestamp":{"type":"string","pattern":"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"},"version":{"const":"1.0"},` +
	`"format":{"enum":["json","JSON",""]},"charset":{"type":"string","description":"utf-8（默认）或 gbk"},"encrypt_type":{"enum":["AES",""],"description":"AES：biz_content 为密文的 Base64"},` +
	`"app_cert_sn":{"type":"string","description":"证书模式"},"alipay_root_cert_sn":{"type":"string","description":"证书模式"}`

func (d *document) form(m method) {
	d.titled(m, "-form", m.RequestClause)
	d.text(`"allOf":[{"$ref":"#/components/schemas/common"}],"properties":{"method":{"const":`)
	d.quoted(string(m.Method))
	d.text(`},"biz_content":{"type":"string","contentMediaType":"application/json","contentSchema":`)
	d.text(string(m.Request))
	d.text(`}}`)
	if !m.ContentOptional {
		d.text(`,"required":["biz_content"]`)
	}
	d.text(`}`)
}

func (d *document) answer(m method) {
	d.titled(m, "-answer", m.ResponseClause)
	d.text(`"properties":{`)
	d.quoted(m.Method.Node())
	d.text(`:{"anyOf":[{"$ref":"#/components/schemas/error"},{"allOf":[{"properties":{"code":{"const":"10000"}}},`)
	d.text(string(m.Response))
	d.text(`]},{"type":"string","contentEncoding":"base64","description":"请求加密时，答复为密文的 Base64"}]},` + signatureMembers + `},"required":[`)
	d.quoted(m.Method.Node())
	d.text(`]}`)
}

// titled opens a schema of a method.
func (d *document) titled(m method, kind, clause string) {
	d.text(",")
	d.quoted(string(m.Method) + kind)
	d.text(`:{"type":"object","title":`)
	d.quoted(m.Title)
	d.text(`,"description":`)
	d.quoted(clause)
	d.text(",")
}

const signatureMembers = `"alipay_cert_sn":{"type":"string","description":"证书模式"},"sign":{"type":"string","contentEncoding":"base64","description":"应用已知时总有"}`

// failure is the node of a call that did not succeed, and the answer to one whose method cannot be told.
func (d *document) failure() {
	d.text(`"error":{"type":"object","properties":{"code":{"enum":["20000","20001","40001","40002","40003","40004","40005","40006"]},` +
		`"msg":{"type":"string"},"sub_code":{"enum":[`)
	for i, sub := range openapi.SubCodes() {
		if i > 0 {
			d.text(",")
		}
		d.quoted(string(sub))
	}
	d.text(`]},"sub_msg":{"type":"string","maxLength":128},"sub_error_code":{"type":"string"},"error_message":{"type":"string"},"err_message":{"type":"string"}},` +
		`"required":["code","msg","sub_code","sub_msg"]},"error-answer":{"type":"object","properties":{"error_response":{"$ref":"#/components/schemas/error"},` +
		signatureMembers + `},"required":["error_response"]}`)
}
