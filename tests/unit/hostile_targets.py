# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Where no request may ever go, written in every way that we know of.

`{port}` is a port of ours that listens on every address of this machine. Names are
resolved by `NAMES`, others by the system.
"""

NAMES = {
    "private.example": ["10.0.0.8"],
    "loop.example": ["127.0.0.1"],
    "loop6.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "linklocal.example": ["fe80::1%lo"],
    "mixed.example": ["93.184.216.34", "127.0.0.1"],
    "mixed-first.example": ["127.0.0.1", "93.184.216.34"],
    "mixed6.example": ["2606:2800:220:1::1", "::1"],
    "xn--bcher-kva.example": ["192.168.1.1"],
    "odd.example": ["no address"],
    "0x7f.example": ["127.0.0.1"],
}

_HOSTS = """
    127.0.0.1  127.0.0.2  127.255.255.254  localhost  LOCALHOST  localhost.
    0.0.0.0  0.1.2.3  10.0.0.1  10.255.255.255  172.16.0.1  172.31.255.255
    192.168.0.1  192.168.255.255  169.254.1.1  169.254.169.254  169.254.170.2
    100.64.0.1  100.100.100.200  100.127.255.255  168.63.129.16
    192.0.0.1  192.0.0.192  192.0.2.1  192.88.99.1
    198.18.0.1  198.19.255.255  198.51.100.7  203.0.113.7
    224.0.0.1  239.255.255.255  240.0.0.1  255.255.255.255

    2130706433  017700000001  0x7f000001  0X7F000001  127.1  127.0.1  0
    0177.0.0.1  0x7f.0.0.1  0x7f.1  127.0.0.0x1  127.000.000.001  127.0.0.1.
    00000177.0.0.1  3232235521  2852039166  0xa9fea9fe  1.2.3.4.5  256.256.256.256
    127.0.0.1.1  1.65535

    ①②⑦.⓪.⓪.①  １２７.０.０.１  127。0。0。1  ｌｏｃａｌｈｏｓｔ  ①⑥⑨.②⑤④.①⑥⑨.②⑤④
    𝟏𝟐𝟕.𝟎.𝟎.𝟏

    [::1]  [::]  [0:0:0:0:0:0:0:1]  [::127.0.0.1]  [::7f00:1]
    [::ffff:127.0.0.1]  [::ffff:7f00:1]  [::FFFF:10.0.0.1]  [::ffff:8.8.8.8]
    [::ffff:0:127.0.0.1]  [::ffff:169.254.169.254]  [::8.8.8.8]
    [64:ff9b::127.0.0.1]  [64:ff9b::a9fe:a9fe]  [64:ff9b::8.8.8.8]
    [64:ff9b:1::127.0.0.1]
    [2002:7f00:1::]  [2002:a9fe:a9fe::1]  [2002:808:808::1]
    [2001:0:4136:e378:8000:63bf:80ff:fffe]  [2001:0:7f00:1::1]
    [2001:2::1]  [2001:10::1]  [2001:db8::1]  [3fff::1]  [3ffe::1]
    [2606:4700::5efe:127.0.0.1]  [2606:4700::200:5efe:10.0.0.1]
    [fe80::5efe:192.168.0.1]  [2606:4700::169.254.169.254]
    [fe80::1]  [fe80::1%25lo]  [fe80::1%lo]  [fec0::1]  [fc00::1]  [fd00:ec2::254]
    [fd12:3456::1]  [fd20:ce::254]  [ff02::1]  [ff0e::1]  [100::1]  [5f00::1]
    [4000::1]  [::1  ::1]  [127.0.0.1]  [v1.::1]

    private.example  loop.example  loop6.example  mapped.example  metadata.example
    nat64.example  linklocal.example  mixed.example  mixed-first.example
    mixed6.example  bücher.example  LOOP.Example  loop.example.  odd.example
"""

URLS = [
    "http://user@127.0.0.1:{port}/",
    "http://user:pass@127.0.0.1:{port}/",
    "http://public.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@public.example/",
    "http://public.example%40127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@public.example/",
    "http://public.example\\@127.0.0.1:{port}/",
    "http://public.example\\.127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "http:/\\127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@public.example/",
    "http://127.0.0.1:{port}?@public.example/",
    "http://127.0.0.1:{port}/../@public.example/",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\r\n:{port}/",
    "http://127.0.0.1:{port}\r\nHost: public.example/",
    "http://127.0.0.1:{port}/\r\n\r\nGET / HTTP/1.1",
    "http://public.example\t@127.0.0.1:{port}/",
    "http://public.example\n.127.0.0.1:{port}/",
    "\thttp://127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "\x00http://127.0.0.1:{port}/",
    "http://127.0.0.1\x00.public.example:{port}/",
    "http://127.0.0.1%00.public.example:{port}/",
    "http://127.0.0.1%2epublic.example:{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1\u3000:{port}/",
    "http://127.0.0.1\u200b:{port}/",
    "http://127.0.0.1\u00ad:{port}/",
    "http://127.0.0.1\u2028:{port}/",
    "http://[::1]x:{port}/",
    "http://x[::1]:{port}/",
    "http://[[::1]]:{port}/",
    "http://[::1]:{port}@public.example/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:////127.0.0.1:{port}/",
    "http://127.0.0.1:{port}:{port}/",
    "http://127.0.0.1:0{port}/",
    "http://127.0.0.1:+{port}/",
    "http://127.0.0.1:６/",
    "http://.127.0.0.1:{port}/",
    "http://127.0.0.1..:{port}/",
    "http://127..0.0.1:{port}/",
    "http://*:{port}/",
    "http://:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "hTTps://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "https://localhost:{port}/",
    "https://mixed.example:{port}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "dict://127.0.0.1:{port}/",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "httpx://127.0.0.1:{port}/",
    "jar:http://127.0.0.1:{port}/!/",
    "url:http://127.0.0.1:{port}/",
]

TARGETS = [f"http://{host}:{{port}}/hook" for host in _HOSTS.split()] + URLS

PUBLIC = [
    ("https://1.1.1.1/", "1.1.1.1"),
    ("https://8.8.8.8:8443/x?y", "8.8.8.8"),
    ("http://9.255.255.255/", "9.255.255.255"),
    ("http://11.0.0.0/", "11.0.0.0"),
    ("http://100.63.255.255/", "100.63.255.255"),
    ("http://100.128.0.0/", "100.128.0.0"),
    ("http://126.255.255.255/", "126.255.255.255"),
    ("http://128.0.0.1/", "128.0.0.1"),
    ("http://169.253.255.255/", "169.253.255.255"),
    ("http://172.15.255.255/", "172.15.255.255"),
    ("http://172.32.0.0/", "172.32.0.0"),
    ("http://192.167.255.255/", "192.167.255.255"),
    ("http://198.17.255.255/", "198.17.255.255"),
    ("http://198.20.0.0/", "198.20.0.0"),
    ("http://223.255.255.255/", "223.255.255.255"),
    ("https://[2606:4700:4700::1111]/", "2606:4700:4700::1111"),
    ("https://[2A00:1450:4001:0:0:0:0:200E]/", "2a00:1450:4001::200e"),
    ("https://[2001:4860:4860::8888]:8443/", "2001:4860:4860::8888"),
    ("https://[2001:200::1]/", "2001:200::1"),
    ("https://example.com/", "93.184.216.34"),
    ("https://EXAMPLE.com./", "93.184.216.34"),
    ("https://bücher.example/ü?q=ä", "93.184.216.34"),
    ("https://xn--bcher-kva.example/", "93.184.216.34"),
    ("https://under_score.example/", "93.184.216.34"),
    ("https://a-b.c1.example/", "2606:2800:220:1::1"),
    ("https://1and1.example/", "93.184.216.34"),
    ("https://0x7f.example/", "93.184.216.34"),
]
