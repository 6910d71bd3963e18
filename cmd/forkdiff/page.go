package main

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

// writePage writes the difference as a page that needs nothing besides itself.
func writePage(out io.Writer, f *fork) error {
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return err
	}
	return page.Execute(out, f)
}
