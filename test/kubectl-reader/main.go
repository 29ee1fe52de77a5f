// Reads file contents as a JSON array of strings, base64, and writes what kubectl's reader makes of each.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type result struct {
	Documents []json.RawMessage `json:"documents"`
	Error     string            `json:"error,omitempty"`
}

// As StreamVisitor and FileVisitor of k8s.io/cli-runtime/pkg/resource do.
func read(content []byte) (found result) {
	found.Documents = []json.RawMessage{}
	utf8 := transform.NewReader(bytes.NewReader(content), unicode.BOMOverride(unicode.UTF8.NewDecoder()))
	decoder := yaml.NewYAMLOrJSONDecoder(utf8, 4096)
	for {
		ext := runtime.RawExtension{}
		if err := decoder.Decode(&ext); err != nil {
			if !errors.Is(err, io.EOF) {
				found.Error = err.Error()
			}
			return found
		}
		raw := bytes.TrimSpace(ext.Raw)
		if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
			continue
		}
		found.Documents = append(found.Documents, raw)
	}
}

func main() {
	var contents []string
	if err := json.NewDecoder(os.Stdin).Decode(&contents); err != nil {
		panic(err)
	}
	results := make([]result, 0, len(contents))
	for _, content := range contents {
		bytes, err := base64.StdEncoding.DecodeString(content)
		if err != nil {
			panic(err)
		}
		results = append(results, read(bytes))
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(results); err != nil {
		panic(err)
	}
}
