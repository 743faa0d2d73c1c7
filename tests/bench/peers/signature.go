// The peer with Go's net/http.
package main

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

type config struct {
	AppID     string `json:"appId"`
	Timestamp int64  `json:"timestamp"`
	NonceStr  string `json:"nonceStr"`
	Signature string `json:"signature"`
	URL       string `json:"url"`
}

func main() {
	appid, ticket := os.Getenv("APPID"), os.Getenv("TICKET")
	http.HandleFunc("/jsapi/signature", func(w http.ResponseWriter, r *http.Request) {
		url, _, _ := strings.Cut(r.URL.Query().Get("url"), "#")
		var random [8]byte
		if _, err := rand.Read(random[:]); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		nonce, now := hex.EncodeToString(random[:]), time.Now().Unix()
		text := fmt.Sprintf("jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", ticket, nonce, now, url)
		digest := sha1.Sum([]byte(text))
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(config{appid, now, nonce, hex.EncodeToString(digest[:]), url})
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
