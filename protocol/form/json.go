package form

import (
	"bytes"
	"encoding/json"
	"strings"
)

// DoubledName tells whether in a JSON text some object has a name twice, at any depth: two readers of
// such a text may see two values. Names that differ in case alone count as one, since some readers,
// encoding/json among them, take them so. It is false for a text that is not JSON.
func DoubledName(b []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(b))
	var open []map[string]bool // names of the objects around, nil for a list
	wantsName := false
	for {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		switch token {
		case json.Delim('{'):
			open, wantsName = append(open, map[string]bool{}), true
			continue
		case json.Delim('['):
			open, wantsName = append(open, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		default:
			if name, is := token.(string); is && wantsName {
				names, folded := open[len(open)-1], strings.ToLower(name)
				if names[folded] {
					return true
				}
				names[folded] = true
				wantsName = false
				continue
			}
		}
		wantsName = len(open) > 0 && open[len(open)-1] != nil
	}
}
