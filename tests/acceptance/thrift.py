"""The part of Thrift's compact protocol that Parquet's page headers use."""


def page_headers(data, start, end):
    """The type and the uncompressed size of each page from `start` to `end`."""
    position = start
    while position < end:
        header = Reader(data, position)
        fields = header.struct()
        yield fields[1], fields[2]
        position = header.position + fields[3]


class Reader:
    """Reads structs as dictionaries of field numbers to values."""

    def __init__(self, data, position):
        self.data = data
        self.position = position

    def byte(self):
        value = self.data[self.position]
        self.position += 1
        return value

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self):
        fields, number = {}, 0
        while True:
            head = self.byte()
            if head == 0:
                return fields
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            fields[number] = self.value(head & 0x0F)

    def value(self, kind):
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self.byte()
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 7:
            self.position += 8
            return None
        if kind == 8:
            length = self.varint()
            self.position += length
            return self.data[self.position - length:self.position]
        if kind in (9, 10):
            return self.sequence()
        if kind == 12:
            return self.struct()
        raise ValueError(f"Thrift type {kind} in a page header")

    def sequence(self):
        head = self.byte()
        length = head >> 4
        length = self.varint() if length == 15 else length
        # In a list each boolean is one byte.
        return [self.byte() if head & 0x0F in (1, 2) else self.value(head & 0x0F) for _ in range(length)]
